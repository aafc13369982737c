#!/usr/bin/env bash
# Loads rows of a PostgreSQL database as events. Usage: postgresql.sh [SINCE]   (a day such as 2026-01-31; by default 3 days ago)
#
# Change the SELECT to your tables: it names the columns that `sluice load` reads (user_id, event, timestamp, event_id). All others become
# properties. PGHOST, PGDATABASE, PGUSER and so on say which database (psql's own variables), SLUICE_INGEST the wire port of ingest, and
# SLUICE_KEY the API key, of the role write.
#
# Each row has an event_id of its own, so rows that are loaded again count once: ask for some days more than since the last run, and
# late rows are not missed.
set -euo pipefail
since=${1:-$(date -u -d '3 days ago' +%F)}

# The statement is quoted: the shell changes nothing in it, and psql quotes SINCE.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=since="$since" <<'SQL' |
COPY (
    SELECT
        customer_id AS user_id,
        'Order ' || status AS event,
        to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp,
        'orders/' || order_id || '/' || status AS event_id,
        amount,
        country,
        details
    FROM order_changes
    WHERE changed_at >= :'since'::timestamp AT TIME ZONE 'UTC'
) TO STDOUT WITH (FORMAT csv, HEADER)
SQL
    # Numbers of type numeric, which print as 12.50; codes that look like numbers; a column of type jsonb.
    sluice load - --to "${SLUICE_INGEST:-127.0.0.1:8081}" --number amount --text country --json-column details
