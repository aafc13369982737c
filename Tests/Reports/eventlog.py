"""The logs as a table of DuckDB, and a few events of our own beside them."""

import hashlib
import json
import os

import duckdb

NAMES = ("bpi2012_loan_applications.csv.gz", "sepsis_hospital.csv.gz")
# The table's columns of properties.
PROPERTIES = ("resource", "amount_req", "org_group", "arm", "level", "mixed", "score", "tier")

MACROS = r"""
-- A cell of CSV follows JSON's grammar: a number, true or false; what else is not empty is a string.
CREATE MACRO cell(c) AS CASE
    WHEN regexp_full_match(c, '-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false') THEN c
    WHEN c <> '' THEN to_json(c)::VARCHAR END;
-- JSON text of which equal numbers are equal; null is absent.
CREATE MACRO member(j) AS regexp_replace(nullif(j::VARCHAR, 'null'), '^(-?[0-9]+)\.0+$', '\1');
-- Of a property's JSON text: NULL where it has another kind.
CREATE MACRO string_of(p) AS CASE WHEN p[1] = '"' THEN p::JSON ->> '$' END;
CREATE MACRO number_of(p) AS CASE WHEN p[1] NOT IN ('"', 't', 'f') THEN p::DOUBLE END;
CREATE MACRO boolean_of(p) AS CASE WHEN p IN ('true', 'false') THEN p = 'true' END;
"""

# `row` numbers the events of all users in the order of FUNNEL.md section 1: by user, time, name and id, byte by byte.
# A property is JSON text, NULL where absent.
EVENTS = """
CREATE TABLE events AS
WITH everything AS (
    SELECT event_id, user_id, event, timestamp, cell(resource) AS resource, cell(amount_req) AS amount_req
    FROM read_csv($bpi, all_varchar = true)
    UNION ALL BY NAME
    SELECT event_id, user_id, event, timestamp, cell(org_group) AS org_group FROM read_csv($sepsis, all_varchar = true)
    UNION ALL BY NAME
    SELECT event_id, user_id, event, timestamp, member(properties -> '$.arm') AS arm, member(properties -> '$.level') AS level,
        member(properties -> '$.mixed') AS mixed, member(properties -> '$.score') AS score, member(properties -> '$.tier') AS tier
    FROM read_json($own, columns = {event_id: 'VARCHAR', user_id: 'VARCHAR', event: 'VARCHAR', timestamp: 'VARCHAR', properties: 'JSON'})
)
SELECT row_number() OVER (ORDER BY user_id, us, event, event_id) AS row, *
FROM (SELECT * EXCLUDE (timestamp), epoch_us(timestamp::TIMESTAMPTZ) AS us FROM everything)
ORDER BY row
"""


def paths(directory):
    return [os.path.join(directory, name) for name in NAMES]


def write_own_events(directory, file):
    """NDJSON with what the logs lack: an experiment's arm, values of several kinds, and properties of users."""
    bpi = paths(directory)[0]
    first = duckdb.sql(f"SELECT user_id, min(timestamp) FROM read_csv('{bpi}', all_varchar = true) GROUP BY 1 ORDER BY 1").fetchall()
    mixed = ["1", 1, True, 1.5, None, "ä", 2, False, "true", 1.0]
    with open(file, "w") as out:
        for user, at in first:
            n = int.from_bytes(hashlib.sha256(user.encode()).digest()[:4], "big")
            arm = ["control", "blue", "green", "red"][n % 10 % 4]
            rows = [("Assigned", at, {"arm": arm, "mixed": mixed[n // 16 % 10], "score": n % 7})]
            rows += [("Renewed", f"2012-03-01T00:00:{k:02}.5Z", {"level": mixed[(n // 16 + k * n) % 10]}) for k in range(n % 4)]
            if n % 5:  # the later of two values is the user's
                rows += [("$set", "2011-09-01T00:00:00Z", {"tier": ["gold", 2][n // 32 % 2]})]
                rows += [("$identify", "2012-01-01T00:00:00Z", {"tier": ["gold", "silver", 2, None][n // 64 % 4]})]
            if n % 3 == 0:  # counts where neither of the two says a tier
                rows += [("$set_once", f"2011-{9 + n % 4:02}-01T00:00:00Z", {"tier": "bronze"}), ("$set_once", "2012-01-02T00:00:00Z", {"tier": 2})]
            for i, (event, at, properties) in enumerate(rows):
                out.write(json.dumps({"event_id": f"own-{user}-{i}", "user_id": user, "event": event, "timestamp": at,
                                      "properties": properties}) + "\n")


def empty():
    """A connection without events."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; SET threads = 2")
    con.execute(MACROS)
    return con


def connect(directory, own):
    """A connection with the table `events` of both logs and the NDJSON `own`; a property is JSON text or NULL."""
    con = empty()
    con.execute(EVENTS, dict(zip(("bpi", "sepsis"), paths(directory)), own=own))
    return con
