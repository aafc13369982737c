"""Attempts of a plain funnel by joins: sequential or flexible order in which no event of a chain could fill two steps."""

# Every event at which a step can be done in the attempt of A, by any chain.
REACH = """
CREATE OR REPLACE TEMP TABLE reach AS
WITH RECURSIVE reach AS (
    SELECT step, user_id, row AS a, sec AS a_sec, row, sec FROM fills WHERE step = 1
    UNION
    SELECT c.step, c.user_id, p.a, p.a_sec, c.row, c.sec
    FROM reach p JOIN fills c ON c.user_id = p.user_id AND c.step = p.step + 1
    WHERE {follows}
)
SELECT *, max(step) OVER (PARTITION BY a) AS depth FROM reach
"""

# Those that are part of a chain as deep as A's deepest, from its end back to A.
LEADS = """
CREATE OR REPLACE TEMP TABLE leads AS
WITH RECURSIVE leads AS (
    SELECT step, a, row, sec FROM reach WHERE step = depth
    UNION
    SELECT p.step, p.a, p.row, p.sec
    FROM leads c JOIN reach p ON p.a = c.a AND p.step = c.step - 1
    WHERE {follows}
)
SELECT * FROM leads
"""

# Step by step: of those that may follow the choice before, the one nearest to A on the clock; of two the one not before A,
# then the first in the order of events.
MATCHED = """
CREATE OR REPLACE TEMP TABLE matched AS
WITH RECURSIVE chosen AS (
    SELECT step, a, a_sec, {{'row': row, 'sec': sec}} AS event FROM reach WHERE step = 1
    UNION ALL
    SELECT p.step + 1, p.a, p.a_sec, arg_min({{'row': c.row, 'sec': c.sec}}, (abs(c.sec - p.a_sec), c.sec < p.a_sec, c.row))
    FROM (SELECT step, a, a_sec, event.row, event.sec FROM chosen) p JOIN leads c ON c.a = p.a AND c.step = p.step + 1
    WHERE {follows}
    GROUP BY p.step, p.a, p.a_sec
)
SELECT a AS attempt, step, step AS position, event.row, event.sec FROM chosen
"""

ATTEMPTS = """
CREATE OR REPLACE TEMP TABLE attempts AS
SELECT m.attempt, e.user_id, e.user_id AS unit, e.row AS a, e.us AS a_us, max(m.step) AS depth, 0 AS optional,
    greatest(0, arg_max(m.sec, m.step) - arg_min(m.sec, m.step)) AS took,
    {base}(m.sec, m.step) + {window} AS open_until
FROM matched m JOIN events e ON e.row = m.attempt
GROUP BY ALL
"""


def build(con, funnel):
    """From `fills` the tables `attempts`, one row for every A whatever the range, and `matched`, one for every step of it;
    `position` is the step that the event did, which is another one only in any order.

    `took` is in ticks from A to the last step, `open_until` the last clock value at which a next step would be in the window.
    """
    order = "c.sec > p.sec" if funnel.order == "sequential" else f"p.sec - c.sec < {funnel.limit}"
    a_sec = "p.a_sec"
    follows = f"{order} AND c.sec - {'p.sec' if funnel.from_previous else a_sec} <= {funnel.window}"
    for statement in (REACH, LEADS, MATCHED):
        con.execute(statement.format(follows=follows))
    con.execute(ATTEMPTS.format(base="arg_max" if funnel.from_previous else "arg_min", window=funnel.window))
