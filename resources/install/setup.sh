#!/bin/sh
# Installs the Debian packages of resources/requirements/apt.txt that this machine lacks: the list first, no question.
#   setup.sh [GROUP…]      without a group: all of them
set -eu
list=$(dirname "$0")/../requirements/apt.txt

wanted=$(awk -v groups=" $* " '
  /^\[/ { group = substr($0, 2, length($0) - 2); next }
  /^#/ || !NF { next }
  groups == "  " || index(groups, " " group " ") { print }' "$list")

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  printf 'setup: no apt on this machine: install the equivalents of these Debian packages yourself, then go on: %s\n' \
    "$(echo "$wanted" | tr '\n' ' ')" >&2
  exit 0
fi

# Another package may stand for one of ours by its Provides (libglib2.0-0t64 for libglib2.0-0).
# shellcheck disable=SC2016  # the ${…} are dpkg-query's
have=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
  sed -n 's/^installed //p' | sed 's/([^)]*)//g; s/,/ /g' | tr -s ' ' '\n')
missing=$(echo "$wanted" | grep -vxF "$have" || true)
[ -n "$missing" ] || exit 0

count=$(echo "$missing" | wc -l)
printf 'setup: installing %s Debian packages: %s\n' "$count" "$(echo "$missing" | tr '\n' ' ')"
as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: installing packages needs root and there is no sudo here: run \`make setup\` once as root" >&2
    exit 1
  fi
  if ! sudo -n true 2>/dev/null; then
    echo "setup: installing packages needs root and sudo asks for a password here: run \`sudo -v\` first" >&2
    exit 1
  fi
  as_root="sudo -n"
fi
start=$(date +%s)
apt() {
  # shellcheck disable=SC2086  # empty for root
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o APT::Color=0 -qq "$@" </dev/null
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086  # one word per package
if ! { apt update && apt install --yes --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt could not install them (its last words above): check the network and the apt sources, then repeat" >&2
  exit 1
fi
echo "setup: done in $(($(date +%s) - start)) s"
