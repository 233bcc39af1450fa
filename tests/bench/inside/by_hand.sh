#!/bin/bash
# by_hand.sh BUSID   in the server guest: the whole job with the tools everybody has, timed; prints seconds.
# Bind on the client, attach, the right in the container's device map, mknod and setfacl for each of its nodes, and the
# user opens them. It goes to the first hub, as usbip attach wants it: no container has that one, so neither the agent
# nor a hook takes part.
set -eu
busid=$1 client=10.9.0.2 container=one
map=/sys/fs/bpf/qvd/$container

ask() { # ask VERB: the other terminal
  exec 3<>"/dev/tcp/$client/9001"
  echo "$1 $busid" >&3
  read -r status words <&3
  exec 3<&-
  [ "$status" = 0 ] || { echo "usbip $1: $words" >&2; exit 1; }
}

bytes() { # bytes NUMBER: 32 bits, least first, as bpftool reads them
  printf '%02x %02x %02x %02x ' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

key() { # key MAJOR MINOR: a character device in the map
  bytes 2
  bytes "$1"
  bytes "$2"
}

find_one() { # find_one GLOB: the first file of that pattern, as soon as there is one
  local found
  until found=$(compgen -G "$1") && read -r found <<<"$found" && [ -r "$found" ]; do sleep 0.02; done
  echo "${found%/*}"
}

give() { # give FOLDER: the right in the device map; prints the line that makes the node
  local major minor node
  IFS=: read -r major minor <"$1/dev"
  node=$(sed -n 's/^DEVNAME=/\/dev\//p' "$1/uevent")
  # shellcheck disable=SC2046  # each byte is a word
  bpftool map update pinned "$map" key hex $(key "$major" "$minor") value hex 06 00 00 00
  echo "mkdir -p ${node%/*} && mknod -m 0600 $node c $major $minor && setfacl -m g:qvduser:rw $node"
  echo "runuser -u user -- sh -c 'exec 3<>$node'"
}

take_back() { # take_back FOLDER
  local major minor
  IFS=: read -r major minor <"$1/dev"
  # shellcheck disable=SC2046  # each byte is a word
  bpftool map delete pinned "$map" key hex $(key "$major" "$minor")
  lxc-attach -n "$container" -- rm "$(sed -n 's/^DEVNAME=/\/dev\//p' "$1/uevent")"
}

began=$EPOCHREALTIME
ask bind
usbip attach -r "$client" -b "$busid"
device=$(find_one "/sys/devices/platform/vhci_hcd.0/usb*/*-*/dev")
usb=$(give "$device")
port=$(find_one "$device/*/tty/*/dev")
tty=$(give "$port")
lxc-attach -n "$container" -- sh -ec "$usb
$tty"
ended=$EPOCHREALTIME
echo "$began $ended" | awk '{printf "%.4f\n", $2 - $1}'

# and back, which is not timed
take_back "$device"
take_back "$port"
usbip detach -p "$(usbip port 2>/dev/null | sed -n 's/^Port \([0-9]*\):.*/\1/p' | head -n 1)" >/dev/null 2>&1
until [ ! -e "$device" ]; do sleep 0.05; done
ask unbind
