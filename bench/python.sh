#!/bin/sh
# Python with the pinned peers, from bench/.venv, which is made where it is missing or out of date.
#
#     bench/python.sh bench/generate.py --events 1000000 --out data
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    echo "installing the peers into bench/.venv" >&2
    python3 -m venv --clear "$venv" || {
        echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
exec "$venv/bin/python" "$@"
