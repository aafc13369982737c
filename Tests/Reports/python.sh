#!/bin/sh
# Python with the packages of requirements.txt, from Tests/Reports/.venv.
here=$(cd "$(dirname "$0")" && pwd)
PACKAGES=$here exec "$here/../../bench/python.sh" "$@"
