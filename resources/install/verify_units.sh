#!/bin/sh
# Lets systemd read the units of a staged installation, and udev its rules where it can. Any word of theirs is a failure.
#   verify_units.sh STAGE
set -eu
stage=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$stage/." "$root"
units=$root/usr/lib/systemd/system
# What every system has and a staged installation has not.
for unit in sysinit basic sockets multi-user shutdown local-fs network; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$unit" >"$units/$unit.target"
done
ours=$(cd "$stage/usr/lib/systemd/system" && echo *)
failed=
for unit in $ours; do
  said=$(systemd-analyze verify --man=no --root="$root" "$unit" 2>&1) || failed=1
  [ -z "$said" ] || { printf '%s: %s\n' "$unit" "$said" >&2; failed=1; }
done
# tests/unit/tooling/test_agent_unit.py asks for a reason for each exposure that is left.
if [ -e "$units/qvd-usb-agent.service" ]; then
  systemd-analyze security --offline=true --threshold=50 --root="$root" --no-pager qvd-usb-agent.service >"$root/said" ||
    { tail -n 1 "$root/said" >&2; failed=1; }
fi
rules=$stage/usr/lib/udev/rules.d
said=
if udevadm verify --help >/dev/null 2>&1; then
  said="rules too"
  udevadm verify --resolve-names=never "$rules"/*.rules || failed=1
fi
[ -z "$failed" ] || { echo "units: the lines above are what systemd makes of them" >&2; exit 1; }
echo "units: systemd understands $ours${said:+, udev the $said}"
