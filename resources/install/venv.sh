#!/bin/sh
# Makes build/venv with the pinned packages, unless it is there already for exactly these pins and this interpreter.
#   venv.sh PYTHON
set -eu
python=$1
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
exec 9>build/venv.lock
flock 9
# A virtual environment holds its own path, so the place is part of the key.
key=$({ pwd -P; "$python" -VV; cat "$pins/build.txt" "$pins/dev.txt"; } | sha256sum)
[ "$(cat build/venv/key 2>/dev/null)" != "$key" ] || exit 0

start=$(date +%s)
echo "venv: $("$python" --version) and $(grep -c == "$pins/dev.txt") pinned packages into build/venv"
rm -rf build/venv
"$python" -m venv build/venv
install() {
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes "$@" 9>&-
}
# Source packages are built with the pinned build tools of the first step, never with what an index calls newest.
if ! { install -r "$pins/build.txt" && install --no-build-isolation -r "$pins/dev.txt"; } >build/venv.log 2>&1; then
  tail -n 20 build/venv.log >&2
  echo "venv: pip could not install the pins (its last words above): check the network and pip's own set-up, then repeat" >&2
  exit 1
fi
echo "$key" >build/venv/key
echo "venv: done in $(($(date +%s) - start)) s"
