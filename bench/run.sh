#!/bin/sh
# Makes bench/.venv with the pinned peers, then runs bench/run.py with the arguments given.
#
#     bench/run.sh --events 100000 --rounds 2
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/.venv"
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    echo "installing the peers into bench/.venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
exec "$venv/bin/python" "$here/run.py" "$@"
