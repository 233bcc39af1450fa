#!/bin/sh
# Resolves the pins of resources/requirements anew: exact versions with the hashes of all their files, and nothing about
# where they come from (the machine's own pip set-up decides that).
#   pins.sh PYTHON
set -eu
python=$1
cd "$(dirname "$0")/../.."
pins=resources/requirements
tools=build/pins-venv
[ -x $tools/bin/pip-compile ] || { "$python" -m venv $tools && $tools/bin/pip install --quiet pip-tools; }
resolve() {
  echo "pins: $1"
  $tools/bin/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --output-file "$@"
  sed -i '/^#/d' "$1"
}
resolve $pins/build.txt $pins/build.in
resolve $pins/dev.txt --all-extras pyproject.toml
resolve $pins/docs.txt $pins/docs.in
resolve $pins/mutation.txt $pins/mutation.in
resolve $pins/coverage.txt $pins/coverage.in
# What is fuzzed stands on the same versions as what is tested.
resolve $pins/fuzz.txt --constraint $pins/dev.txt $pins/fuzz.in
