#!/usr/bin/env bash
# Loads the files of a folder, and moves each to the folder `done` in it. Usage: nightly.sh FOLDER [OPTION ...]
# Options are those of `sluice load`, such as --preset mixpanel-export. nightly.crontab runs it each night.
#
# The program that makes the files writes each under a name that begins with a dot, then renames it: such names are left out here.
# A file that fails stays, and the next run loads it again: rows that were stored before count once.
set -euo pipefail
folder=$1
shift
cd "$folder"
# Two runs at the same time would move each other's files.
exec 9>.lock
flock --nonblock 9 || { echo "$folder: another run is not done yet" >&2; exit 1; }
mkdir -p done
status=0
for file in *; do
    [ -f "$file" ] || continue
    case $file in *.rejected.ndjson) continue ;; esac
    code=0
    sluice load "./$file" --to "${SLUICE_INGEST:-127.0.0.1:8081}" "$@" >.log 2>&1 || code=$?
    case $code in
        0) mv -- "$file" done/ ;;
        # Some rows were rejected: they are in FILE.rejected.ndjson, and the output says how to send them again.
        3) mv -- "$file" done/ && status=3 && cat .log >&2 ;;
        *) status=1 && cat .log >&2 ;;
    esac
done
exit "$status"
