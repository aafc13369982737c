#!/bin/sh
# Starts a cluster on this machine, loads generated shop traffic through ingest, prints a funnel, and serves until Ctrl-C.
# Usage: demo.sh DIRECTORY_OF_PROGRAMS [DATA_DIRECTORY]
set -eu
programs=$1
data=${2:-demo-data}
ports=${SLUICE_DEMO_PORTS:-}
rm -rf "$data"
mkdir -p "$data"
info="$data/cluster.json"
"$programs/sluice" up --shards 2 --data "$data" --info "$info" $ports &
up=$!
trap 'kill "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
while [ ! -f "$info" ]; do
    kill -0 "$up" 2>/dev/null || { echo "the cluster did not start; see $data/logs" >&2; exit 1; }
    sleep 0.1
done
address() { sed -n "s/.*\"$1\":{\"http\":\"\([^\"]*\)\",\"wire\":\"\([^\"]*\)\".*/\\$2/p" "$info"; }
"$programs/sluice" generate --users "${SLUICE_DEMO_USERS:-20000}" --out "$data/shop.ndjson"
"$programs/sluice" load "$data/shop.ndjson" --to "$(address ingest 2)"
"$programs/sluice" funnels apply deploy/demo-funnel.json --to "$(address coordinator 1)"
echo
"$programs/sluice" query shop --to "$(address coordinator 2)"
echo
echo "The dashboard: http://$(address coordinator 1)/   (Ctrl-C stops the cluster; its data is in $data)"
[ "${SLUICE_DEMO_ONCE:-}" = 1 ] && exit 0
wait "$up"
