#!/bin/sh
# Python with the pinned packages of a folder, from its .venv, which is made where it is missing or out of date. The folder is
# bench, or the one that PACKAGES names.
#
#     bench/python.sh bench/generate.py --events 1000000 --out data
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=${PACKAGES:-$here}
venv="$home/.venv"
if ! cmp -s "$home/requirements.txt" "$venv/installed.txt"; then
    echo "installing packages into $venv" >&2
    # Debian and Ubuntu keep what a venv needs in a package of its own, whose program is no other's.
    python3 -c 'import ensurepip' 2>/dev/null || sh "$here/../deploy/install-deps.sh" ensurepip:python3-venv
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$home/requirements.txt"
    cp "$home/requirements.txt" "$venv/installed.txt"
fi
exec "$venv/bin/python" "$@"
