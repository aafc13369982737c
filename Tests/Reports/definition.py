"""A funnel's definition as FUNNEL.md section 2 reads it, and which events fill its steps, in SQL."""

import re
from dataclasses import dataclass, field

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
PRESETS = {
    "sluice/1": {}, "mparticle-sequential/1": {},
    "mparticle-flexible/1": {"conversion_order": {"flexible": {"limit": "1d"}}},
    "mixpanel-unique/1": {"conversion_order": {"flexible": {"limit": "2s"}}, "entry": "first"},
    "mixpanel-totals/1": {"conversion_order": {"flexible": {"limit": "2s"}}, "count_by": "attempts"},
    "amplitude/1": {"conversion_order": {"flexible": {"limit": "1s"}}},
    "posthog/1": {"conversion_order": {"flexible": {"limit": "1us"}}, "clock": "microsecond"},
    "clickhouse-default/1": {"conversion_order": {"flexible": {"limit": "1us"}}, "clock": "microsecond"},
    "clickhouse-strict_increase/1": {"clock": "microsecond"},
}


def microseconds(duration):
    number, unit = re.fullmatch(r"([0-9]+)([a-z]+)", duration).groups()
    return int(number) * UNITS[unit]


@dataclass
class Step:
    name: str
    events: list  # ["*"] is any
    where: list = field(default_factory=list)
    optional: bool = False
    window: int | None = None  # ticks


@dataclass
class Exclusion:
    events: list
    where: list
    after: int
    before: int
    drops_user: bool


class Funnel:
    """All durations in ticks of the clock; `tick` is in microseconds."""

    def __init__(self, document, count_by=None, session_gap=None):
        rules = {**PRESETS[document.get("preset", "sluice/1")], **document}
        self.tick = 1 if rules.get("clock") == "microsecond" else 1_000_000
        self.window = self.ticks(rules.get("window_duration", "30d"))
        self.from_previous = rules.get("window_anchor") == "previous_step"
        order = rules.get("conversion_order", "sequential")
        self.order = order if isinstance(order, str) else "flexible"
        self.limit = self.ticks(order["flexible"]["limit"]) if self.order == "flexible" else None
        self.entry = rules.get("entry", "shortest")
        self.held = rules.get("hold_constant", [])
        self.count_by = count_by or rules.get("count_by", "users")
        self.session_gap = self.ticks(session_gap or rules.get("session_gap", "30m"))
        self.steps = [self.step(s, rules.get("event_types", {})) for s in rules["steps"]]
        effect = "drop_user" if document.get("preset") == "posthog/1" else "end_attempt"
        self.exclusions = [
            Exclusion(x["events"], x.get("where", []), x["after"], x["before"], x.get("effect", effect) == "drop_user")
            for x in rules.get("exclude", [])]
        chance = rules.get("probability", 0.5)
        self.chances = [chance.get(s.name, 0.5) if isinstance(chance, dict) else chance for s in self.steps]

    def ticks(self, duration):
        return microseconds(duration) // self.tick

    def step(self, given, types):
        step = {"name": given} if isinstance(given, str) else given
        joined = [event for event, name in types.items() if name == step["name"]]
        window = self.ticks(step["window_duration"]) if "window_duration" in step else None
        events = step.get("events", [step["name"]]) + joined
        return Step(step["name"], events, step.get("where", []), step.get("optional", False), window)

    @property
    def is_plain(self):
        """Whether the joins of `attempts_sql` answer it: no event of a chain could fill two of its steps."""
        names = [event for step in self.steps for event in step.events]
        shared = len(set(names)) < len(names) or "*" in names
        return (self.order == "sequential" or self.order == "flexible" and not shared) and self.count_by == "users" \
            and not (self.exclusions or self.held or any(s.optional or s.window for s in self.steps))

    @property
    def matures(self):
        """Microseconds after which no user of a range can convert any more."""
        return self.window * self.tick * (len(self.steps) - 1 if self.from_previous else 1)

    def before(self, index):
        """The nearest required step before step `index`, both from 1."""
        return max(i for i in range(1, index) if not self.steps[i - 1].optional)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# SQL of whether an event `e` says what a user did, not who the user is.
IS_BEHAVIOUR = "e.event NOT IN ('$identify', '$set', '$set_once', '$groupidentify')"


def matches(events, where):
    """SQL of whether an event `e` is one of these."""
    names = IS_BEHAVIOUR if events == ["*"] or "*" in events else f"e.event IN ({', '.join(map(quoted, events))})"
    return " AND ".join([names] + [condition(c) for c in where])


def condition(c):
    """SQL of one condition: never NULL. Only `!=`, `not_in` and `not_exists` are true of an absent value or another kind."""
    key, op, value = c["property"], c["op"], c.get("value")
    p = f'u."{key[5:]}"' if key.startswith("user.") else f'e."{key}"'
    if op in ("exists", "not_exists"):
        return f"{p} IS {'NOT ' if op == 'exists' else ''}NULL"
    if op in ("!=", "not_in"):
        return f"NOT {condition({**c, 'op': '=' if op == '!=' else 'in'})}"
    if op == "in":
        return "(" + " OR ".join(condition({**c, "op": "=", "value": v}) for v in value) + ")"
    if op == "contains":
        test = f"contains(string_of({p}), {quoted(value)})"
    elif op == "starts_with":
        test = f"starts_with(string_of({p}), {quoted(value)})"
    elif isinstance(value, bool):
        test = f"boolean_of({p}) {op} {str(value).lower()}"
    elif isinstance(value, str):
        test = f"string_of({p}) {op} {quoted(value)}"
    else:
        test = f"number_of({p}) {op} {value!r}::DOUBLE"
    return f"coalesce({test}, false)"


# Of each property of a user the latest that a `$set` or `$identify` gave, by time and then id; else the earliest of a `$set_once`.
USER_PROPERTIES = """
CREATE OR REPLACE TEMP TABLE user_properties AS
SELECT user_id, coalesce(
    arg_max(tier, (us, event_id)) FILTER (tier IS NOT NULL AND event IN ('$set', '$identify')),
    arg_min(tier, (us, event_id)) FILTER (tier IS NOT NULL AND event = '$set_once')) AS tier
FROM events GROUP BY user_id
"""


def fill(con, funnel):
    """The table `fills`: which events fill which steps (from 1); `sec` is on the funnel's clock."""
    con.execute(USER_PROPERTIES)
    con.execute("CREATE OR REPLACE TEMP TABLE fills AS " + " UNION ALL ".join(
        f"SELECT {i} AS step, e.row, e.user_id, e.us, e.us // {funnel.tick} AS sec "
        f"FROM events e LEFT JOIN user_properties u USING (user_id) WHERE {matches(s.events, s.where)}"
        for i, s in enumerate(funnel.steps, 1)))
