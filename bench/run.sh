#!/bin/sh
# bench/run.py with the Python it needs; all arguments go there.
#
#     bench/run.sh --events 100000 --rounds 2
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/python.sh" "$here/run.py" "$@"
