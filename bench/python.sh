#!/bin/sh
# Python with the pinned peers, from bench/.venv, which is made where it is missing or out of date.
#
#     bench/python.sh bench/generate.py --events 1000000 --out data
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    echo "installing the peers into bench/.venv" >&2
    # Debian and Ubuntu keep what a venv needs in a package of its own, whose program is no other's.
    python3 -c 'import ensurepip' 2>/dev/null || sh "$here/../deploy/install-deps.sh" ensurepip:python3-venv
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
exec "$venv/bin/python" "$@"
