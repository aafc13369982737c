#!/bin/sh
# The table of attacks and faults, from real clusters; see run.py. Programs are those of SLUICE_PROGRAMS, or .build/release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ulimit -n "$(ulimit -Hn)"
PACKAGES=$here exec "$here/../../bench/python.sh" "$here/${HOSTILE_PROGRAM:-run.py}" "$@"
