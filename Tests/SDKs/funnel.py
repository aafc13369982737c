"""How many users reach each step, by FUNNEL.md section 3: sequential order, a window from step 1. Computed from rows, not by Sluice."""

from bisect import bisect_right

OPS = {"=": lambda a, b: a == b, ">=": lambda a, b: a is not None and a >= b}


def counts(rows, steps, window_seconds, condition=None, tick_ms=1000):
    """`condition`: (property, op, value) that events of step 1 must meet. `tick_ms`: the clock, 1000 for whole seconds."""
    window = window_seconds * 1000 // tick_ms
    users = {}
    for row in rows:
        if row["event"] in steps:
            users.setdefault(row["user"], {}).setdefault(row["event"], []).append((row["ms"] // tick_ms, row))
    reached = [0] * len(steps)
    for events in users.values():
        times = {name: sorted(time for time, _ in of) for name, of in events.items()}
        starts = [time for time, row in events.get(steps[0], []) if not condition or OPS[condition[1]](row[condition[0]], condition[2])]
        for step in range(max((_depth(times, steps, start, window) for start in starts), default=0)):
            reached[step] += 1
    return reached


def _depth(times, steps, start, window):
    """From one step-1 event, the earliest event after the step before is always the best choice: it leaves the most room."""
    last = start
    for number, step in enumerate(steps[1:], 1):
        of = times.get(step, [])
        next_one = bisect_right(of, last)
        if next_one == len(of) or of[next_one] - start > window:
            return number
        last = of[next_one]
    return len(steps)
