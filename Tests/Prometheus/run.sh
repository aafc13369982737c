#!/bin/sh
# The alert rules, and the causes of their alerts on real processes; without names also the boards of Grafana. Usage: run.sh [NAME ...]
# SLUICE_PROGRAMS: directory of the programs (.build/release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export SLUICE_PROGRAMS="${SLUICE_PROGRAMS:-$root/.build/release}"
promtool check rules "$root/deploy/prometheus/sluice.rules.yaml" "$root/deploy/prometheus/sluice.recording.yaml"
# The example names its rules without a folder.
(cd "$root/deploy/prometheus" && promtool check config prometheus.yml)
export PYTHONDONTWRITEBYTECODE=1
[ $# -gt 0 ] || python3 "$here/boards.py"
exec python3 "$here/alerts.py" "$@"
