#!/bin/bash
# by_hand.sh BUSID   in the server guest: the whole job with the tools everybody has, timed; prints seconds.
# Bind on the client, attach, the right in the container's device map, mknod, setfacl, and the user opens it. It goes to
# the first hub, as usbip attach wants it: no container has that one, so neither the agent nor a hook takes part.
set -eu
busid=$1 client=10.9.0.2 port=9001 container=one

ask() { # ask VERB: the other terminal
  exec 3<>"/dev/tcp/$client/$port"
  echo "$1 $busid" >&3
  read -r status words <&3
  exec 3<&-
  [ "$status" = 0 ] || { echo "usbip $1: $words" >&2; exit 1; }
}

bytes() { # bytes NUMBER: 32 bits, least first, as bpftool reads them
  printf '%02x %02x %02x %02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

began=$EPOCHREALTIME
ask bind
usbip attach -r "$client" -b "$busid"
until device=$(dirname /sys/devices/platform/vhci_hcd.0/usb*/*-*/busnum) && [ -r "$device/dev" ]; do sleep 0.02; done
IFS=: read -r major minor <"$device/dev"
node=$(sed -n 's/^DEVNAME=/\/dev\//p' "$device/uevent")
# shellcheck disable=SC2046  # each byte is a word
bpftool map update pinned "/sys/fs/bpf/qvd/$container" \
  key hex 02 00 00 00 $(bytes "$major") $(bytes "$minor") value hex 06 00 00 00
lxc-attach -n "$container" -- sh -c "
  mkdir -p ${node%/*} && mknod -m 0600 $node c $major $minor && setfacl -m g:qvduser:rw $node
  runuser -u user -- sh -c 'exec 3<>$node'"
ended=$EPOCHREALTIME
echo "$began $ended" | awk '{printf "%.4f\n", $2 - $1}'

# and back, which is not timed
# shellcheck disable=SC2046  # each byte is a word
bpftool map delete pinned "/sys/fs/bpf/qvd/$container" key hex 02 00 00 00 $(bytes "$major") $(bytes "$minor")
lxc-attach -n "$container" -- rm "$node"
usbip detach -p "$(usbip port 2>/dev/null | sed -n 's/^Port \([0-9]*\):.*/\1/p' | head -n 1)" >/dev/null 2>&1
until [ ! -e "$device" ]; do sleep 0.05; done
ask unbind
