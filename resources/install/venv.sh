#!/bin/sh
# Makes build/venv with the pinned packages, unless it is there already for exactly these pins and this interpreter.
#   venv.sh PYTHON [docs|mutation|fuzz|coverage]    with a word: build/WORD-venv, with the packages of WORD.txt alone
set -eu
python=$1
wanted=${2:-dev}
venv=build/${2:+$2-}venv
cd "$(dirname "$0")/../.."
pins=resources/requirements
if ! command -v "$python" >/dev/null; then
  echo "venv: there is no $python: name the interpreter, as in \`make venv PYTHON=/usr/local/bin/python3.13\`" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "venv: $("$python" --version) is too old: name one from 3.11 on, as in \`make venv PYTHON=/usr/bin/python3.13\`" >&2
  exit 1
fi
mkdir -p build
exec 9>"$venv.lock"
flock 9
# What only this version of Python needs is in a file beside it, where there is one.
more=$pins/$wanted-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt
[ -e "$more" ] || more=
# A virtual environment holds its own path, so the place is part of the key.
# shellcheck disable=SC2086  # a file or none
key=$({ pwd -P; "$python" -VV; cat "$pins/build.txt" "$pins/$wanted.txt" $more; } | sha256sum)
[ "$(cat "$venv/key" 2>/dev/null)" != "$key" ] || exit 0

start=$(date +%s)
echo "venv: $("$python" --version) and $(grep -c == "$pins/$wanted.txt") pinned packages into $venv"
rm -rf "$venv"
"$python" -m venv "$venv"
install() {
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@" 9>&-
}
# Source packages are built with the pinned build tools of the first step, never with what an index calls newest.
if ! { install -r "$pins/build.txt" && install --no-build-isolation -r "$pins/$wanted.txt" ${more:+-r "$more"}; } \
  >"$venv.log" 2>&1; then
  tail -n 20 "$venv.log" >&2
  echo "venv: pip could not install the pins (its last words above): check the network and pip's own set-up, then repeat" >&2
  exit 1
fi
echo "$key" >"$venv/key"
echo "venv: done in $(($(date +%s) - start)) s"
