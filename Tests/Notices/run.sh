#!/bin/sh
# Notices of alert rules to real receivers, and kill -9 of the coordinator. Usage: run.sh [--kills N] [--seed N]
# SLUICE_PROGRAMS: directory of the programs (.build/release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export SLUICE_PROGRAMS="${SLUICE_PROGRAMS:-$here/../../.build/release}"
export PYTHONDONTWRITEBYTECODE=1
python3 "$here/receivers.py"
exec python3 "$here/kills.py" "$@"
