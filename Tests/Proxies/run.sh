#!/bin/sh
# TLS and proxies on real processes. Usage: run.sh [NAME ...], the names of functions with @attempt; without any, all.
# SLUICE_PROGRAMS: directory of the programs (.build/release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export SLUICE_PROGRAMS="${SLUICE_PROGRAMS:-$root/.build/release}"
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$here/run.py" "$@"
