"""Attempts by any rules, by looking at every chain of a unit's events: slow, and close to the words of FUNNEL.md.

A chain is a tuple of `(step, event)`, steps from 1; with `any` order row i of the chain has step i.
"""

from bisect import bisect_left, bisect_right
from itertools import count

import pandas

import any_order
from definition import IS_BEHAVIOUR, matches


class Event:
    """`fills` are steps, `excluded` places in the list of exclusions, `held` one tuple of values a step or None."""

    __slots__ = ("row", "user", "us", "sec", "fills", "excluded", "held", "value")

    def __init__(self, row, user, us, sec, fills, excluded, held, value):
        self.row, self.user, self.us, self.sec, self.fills, self.excluded = row, user, us, sec, fills, excluded
        self.held, self.value = held, value


class Unit:
    """The events of one user, session or value of a user, and the chains among them."""

    def __init__(self, funnel, events, gone=frozenset()):
        self.funnel, self.events = funnel, events
        n = len(funnel.steps)
        self.at = [[]] + [[e for e in events if i in e.fills and e.row not in gone] for i in range(1, n + 1)]
        self.excluded = [[e for e in events if x in e.excluded] for x in range(len(funnel.exclusions))]
        self.clock = [e.sec for e in events]
        self.is_forward = funnel.order in ("sequential", "strict")
        self.may_share = any(len(e.fills) > 1 for e in events)

    def starts(self, start, end):
        """Events that may begin an attempt, in order."""
        steps = range(1, len(self.at)) if self.funnel.order == "any" else [1]
        rows = {e.row: e for i in steps for e in self.at[i] if start <= e.us < end and (not self.funnel.held or e.held[i - 1])}
        return [rows[row] for row in sorted(rows)]

    # ---- which event may follow which

    def next_steps(self, step):
        """Optional ones and the next that is required."""
        found = []
        for i in range(step + 1, len(self.at)):
            found.append(i)
            if not self.funnel.steps[i - 1].optional:
                break
        return found

    def may_follow(self, a, step, p, i, c):
        f = self.funnel
        if f.held and (c.held[i - 1] is None or c.held[i - 1] != a.held[0]):
            return False
        if (c.sec <= p.sec) if self.is_forward else (p.sec - c.sec >= f.limit):
            return False
        if c.sec - (p if f.from_previous else a).sec > f.window:
            return False
        if f.steps[i - 1].window is not None and c.sec - p.sec > f.steps[i - 1].window:
            return False
        if f.order == "strict":
            between = range(bisect_right(self.clock, p.sec), bisect_left(self.clock, c.sec))
            return all(step in self.events[k].fills or i in self.events[k].fills for k in between)
        return True

    def breaks(self, step, p, i, c, exclusions):
        """In forward order a chain is broken between two of its neighbours."""
        return any(
            x.after < i and step < x.before and any(p.sec < e.sec < c.sec for e in self.excluded[place])
            for place, x in exclusions)

    def is_broken(self, chain, exclusions):
        depth = chain[-1][0]
        for place, x in exclusions:
            if depth <= x.after:
                continue
            first = max(k for k, (step, _) in enumerate(chain) if step <= x.after)
            last = next((k for k, (step, _) in enumerate(chain) if step >= x.before), len(chain) - 1)
            ticks = {e.sec for _, e in chain[first:last + 1]}
            if any(chain[first][1].sec < e.sec < chain[last][1].sec and e.sec not in ticks for e in self.excluded[place]):
                return True
        return False

    # ---- the deepest chain of an attempt

    def exclusions(self, only_ending=False):
        return [(k, x) for k, x in enumerate(self.funnel.exclusions) if not (only_ending and x.drops_user)]

    def chains(self, a, exclusions):
        """Every chain of A. In forward order broken ones are not gone on with, elsewhere a later step may mend one."""
        stack = [((1, a),)]
        while stack:
            chain = stack.pop()
            step, p = chain[-1]
            if self.is_forward or not self.is_broken(chain, exclusions):
                yield chain
            for i in self.next_steps(step):
                for c in self.at[i]:
                    if all(c is not e for _, e in chain) and self.may_follow(a, step, p, i, c):
                        if not (self.is_forward and self.breaks(step, p, i, c, exclusions)):
                            stack.append(chain + ((i, c),))

    def deepest(self, a, exclusions):
        """The chain of section 5, 1, and its rank: depth, then optional steps."""
        if self.funnel.order == "any":
            chain = any_order.deepest(self, a, exclusions)
            return (len(chain), 0), chain
        if exclusions and not self.is_forward:
            best = min(self.chains(a, exclusions), key=lambda chain: ([-r for r in self.rank(chain)], self.preference(a, chain)))
            return self.rank(best), best
        known = {}

        def best(step, p, used):
            key = (step, p.row, used if self.may_share and not self.is_forward else None)
            if key not in known:
                known[key] = max([(step, 0)] + [rank for _, _, rank in onwards(step, p, used)])
            return known[key]

        def onwards(step, p, used):
            for i in self.next_steps(step):
                for c in self.at[i]:
                    if c.row not in used and self.may_follow(a, step, p, i, c) and not self.breaks(step, p, i, c, exclusions):
                        depth, optional = best(i, c, used | {c.row})
                        yield i, c, (depth, optional + self.funnel.steps[i - 1].optional)

        chain, used = ((1, a),), frozenset([a.row])
        rank = left = best(1, a, used)
        while chain[-1][0] < rank[0]:
            options = [(i, c) for i, c, r in onwards(*chain[-1], used) if r == left]
            i, c = min(options, key=lambda o: (o[0], self.nearness(a, o[1])))
            chain, used = chain + ((i, c),), used | {c.row}
            left = (left[0], left[1] - self.funnel.steps[i - 1].optional)
        return rank, chain

    def rank(self, chain):
        return chain[-1][0], sum(self.funnel.steps[i - 1].optional for i, _ in chain)

    @staticmethod
    def nearness(a, e):
        return abs(e.sec - a.sec), e.sec < a.sec, e.row

    def preference(self, a, chain):
        """Step by step; a step that is done comes before one that is skipped."""
        done = dict(chain)
        return [self.nearness(a, done[i]) if i in done else (float("inf"),) for i in range(1, len(self.at))]

    # ---- when an attempt ends, and users left out

    def admits_until(self, a, chain):
        """The last clock value at which the windows admit a next step."""
        f = self.funnel
        step, last = chain[-1]
        until = (last if f.from_previous else a).sec + f.window
        if f.order == "any":
            return until
        own = [f.steps[i - 1].window for i in self.next_steps(step)]
        return until if None in own or not own else min(until, last.sec + max(own))

    def stops(self, chain, exclusions):
        """Clock values of events that stop a chain: every further step from then on would be broken."""
        depth, last = chain[-1]
        found = []
        for place, x in exclusions:
            if x.after <= depth < x.before:
                span = [e for k, (step, e) in enumerate(chain) if step >= x.after or k + 1 == len(chain) or chain[k + 1][0] > x.after]
                ticks = {e.sec for e in span}
                after = max(span[0].sec, max(e.sec for _, e in chain) if self.funnel.order == "any" else last.sec)
                found += [e.sec for e in self.excluded[place] if e.sec > after and e.sec not in ticks]
        return found

    def ends(self, a, chain):
        """The clock value at which an attempt that did not convert is over; open up to and with it."""
        until = [self.admits_until(a, chain)] + self.stops(chain, self.exclusions())
        if self.funnel.order == "strict":
            depth, last = chain[-1]
            until += [x.sec for x in self.events if x.sec > last.sec and depth not in x.fills and depth + 1 not in x.fills]
        return min(until)

    def is_left_out(self, starts):
        starts = starts[:1] if self.funnel.entry == "first" else starts
        dropping = [(k, x) for k, x in self.exclusions() if x.drops_user]
        if not dropping or not starts:
            return False
        deepest = max(self.deepest(a, self.exclusions(only_ending=True))[0][0] for a in starts)
        walk = (lambda a, x: any_order.chains(self, a, x)) if self.funnel.order == "any" else self.chains
        for a in starts:
            for chain in walk(a, self.exclusions()):
                if chain[-1][0] == deepest:
                    until = self.admits_until(a, chain)
                    if not any(at <= until for at in self.stops(chain, dropping)):
                        return False
        return True

    # ---- attempts

    def attempts(self, start, end):
        """Every attempt of the range: A, its rank and its chain."""
        starts = self.starts(start, end)
        if self.is_left_out(starts):
            return
        if self.funnel.count_by == "attempts":
            yield from self.serial(starts)
            return
        for a in starts:
            yield a, *self.deepest(a, self.exclusions())

    def serial(self, starts):
        gone, over = frozenset(), -1
        for a in starts:
            if a.sec <= over or a.row in gone:
                continue
            unit = Unit(self.funnel, self.events, gone)
            rank, chain = unit.deepest(a, self.exclusions())
            converted = rank[0] == len(self.funnel.steps)
            over = max(e.sec for _, e in chain) if converted else unit.ends(a, chain)
            gone |= {e.row for _, e in chain}
            yield a, rank, chain


def held_sql(funnel):
    """A list with, for each step, the list of values that all events of an attempt must share."""
    names = [[h if isinstance(h, str) else h[i] for h in funnel.held] for i in range(len(funnel.steps))]
    return "[" + ", ".join("[" + ", ".join(f'e."{name}"' for name in step) + "]" for step in names) + "]"


def histories(con, funnel):
    """The events of every user that can begin an attempt, in order; where others make no difference only those with a part in it."""
    marks = "[" + ", ".join(matches(x.events, x.where) for x in funnel.exclusions) + "]::BOOLEAN[]"
    value = f'e."{funnel.count_by[9:]}"' if funnel.count_by.startswith("property:") else "NULL"
    found = con.execute(f"""
        SELECT e.row, e.user_id, e.us, e.us // {funnel.tick}, coalesce(f.steps, []), {marks}, {held_sql(funnel) if funnel.held else "NULL"}, {value}
        FROM events e LEFT JOIN user_properties u USING (user_id)
        LEFT JOIN (SELECT row, list(step) AS steps FROM fills GROUP BY row) f USING (row)
        WHERE e.user_id IN (SELECT user_id FROM fills WHERE step = 1 OR {funnel.order == "any"})
            AND (f.steps IS NOT NULL OR list_contains({marks}, true) 
                OR {funnel.order == "strict" or funnel.count_by == "sessions"} AND {IS_BEHAVIOUR})
        ORDER BY e.row""").fetchall()
    user = []
    for row, user_id, us, sec, fills, marked, held, value in found:
        if user and user[0].user != user_id:
            yield user
            user = []
        held = held and [tuple(h) if None not in h else None for h in held]
        user.append(Event(row, user_id, us, sec, frozenset(fills), {k for k, m in enumerate(marked) if m}, held, value))
    if user:
        yield user


def units(funnel, user):
    """What is counted: a name of the unit, and its events."""
    if funnel.count_by == "sessions":
        sessions = [[user[0]]]
        for e in user[1:]:
            if e.sec - sessions[-1][-1].sec > funnel.session_gap:
                sessions.append([])
            sessions[-1].append(e)
        for k, events in enumerate(sessions):
            yield k, events
    elif funnel.count_by.startswith("property:"):
        for value in {e.value for e in user if e.value is not None}:
            yield value, [e for e in user if e.value == value]
    else:
        yield "", user


def depends_on_range(funnel):
    """Whether a range does more than choose among the attempts of all time."""
    return funnel.count_by == "attempts" or any(x.drops_user for x in funnel.exclusions)


def build(con, funnel, start, end, users=None):
    """As `attempts_sql.build`, but only attempts of the range, and only of units that are not left out; `users` are histories."""
    attempts, matched, ids = [], [], count()
    for user in users or histories(con, funnel):
        for name, events in units(funnel, user):
            unit = Unit(funnel, events)
            for a, (depth, optional), chain in unit.attempts(start, end):
                number = next(ids)
                key = f"{number}" if funnel.count_by == "attempts" else f"{name} {a.user}"
                took = max(0, (max(e.sec for _, e in chain) if funnel.order == "any" else chain[-1][1].sec) - a.sec)
                until = unit.ends(a, chain) if funnel.count_by == "users" and depth < len(funnel.steps) else 0
                attempts.append((number, a.user, key, a.row, a.us, depth, optional, took, until))
                did = any_order.positions(chain) if funnel.order == "any" else [step for step, _ in chain]
                matched += [(number, step, position, e.row, e.sec) for (step, e), position in zip(chain, did)]
    for table, rows, columns in (
            ("attempts", attempts, "attempt user_id unit a a_us depth optional took open_until"), ("matched", matched, "attempt step position row sec")):
        frame = pandas.DataFrame(rows, columns=columns.split())
        con.register("frame", frame)
        kinds = ", ".join(f"{c}::{'VARCHAR' if c in ('user_id', 'unit') else 'BIGINT'} AS {c}" for c in frame.columns)
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {kinds} FROM frame")
        con.unregister("frame")
