"""The questions asked of both logs. Every body goes as it stands to the cluster and to our own computation."""

OFFERS = ["A_SUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "O_SENT", "A_ACTIVATED"]
TIES = ["O_SENT_BACK", "A_APPROVED", "A_REGISTERED", "A_ACTIVATED", "O_ACCEPTED"]
CALLS = ["W_Completeren aanvraag:start", "W_Nabellen offertes:start", "W_Valideren aanvraag:start"]
EMERGENCY = ["ER Registration", "ER Triage", "ER Sepsis Triage", "IV Antibiotics", "Admission NC", "Release A"]
LAB = ["Leucocytes", "CRP", "LacticAcid"]
RETURN = ["ER Registration", "Release A", "Return ER"]
ACCEPT = ["A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED"]
VALIDATE = ["A_SUBMITTED", {"name": "W_Completeren aanvraag:start", "optional": True}, "A_ACCEPTED",
            {"name": "W_Nabellen incomplete dossiers:start", "optional": True, "window_duration": "20d"}, "A_APPROVED"]
CARE = ["ER Registration", {"name": "IV Liquid", "optional": True}, {"name": "LacticAcid", "optional": True}, "IV Antibiotics",
        {"name": "Admission IC", "optional": True}, "Release A"]

# Instants at which some attempts were still open.
LOANS_AS_OF, PATIENTS_AS_OF = "2012-02-20T12:00:00Z", "2014-09-15T09:00:00Z"


def flexible(limit):
    return {"flexible": {"limit": limit}}


def funnel(steps, **rules):
    return {"steps": steps, **rules}


def when(name, op, value=None):
    return {"property": name, "op": op} | ({} if value is None else {"value": value})


def ask(name, steps, query=None, **rules):
    """A name and a query's body; `query` are members beside the funnel."""
    of_patients = any(event in str(steps) for event in ("ER Registration", "CRP", "LacticAcid"))
    return name, {"funnel": funnel(steps, **rules), "as_of": PATIENTS_AS_OF if of_patients else LOANS_AS_OF, **(query or {})}


PLAIN = [
    ask("offers, sequential, 30d", OFFERS),
    ask("offers, sequential, 1d, earliest", OFFERS, window_duration="1d", entry="earliest"),
    ask("offers, previous step, 3d", OFFERS, window_duration="3d", window_anchor="previous_step"),
    ask("offers, flexible 1h, weights by step", OFFERS, conversion_order=flexible("1h"), probability={"A_PREACCEPTED": 0.25, "O_SENT": 0.9}),
    ask("ties, flexible 1s", TIES, conversion_order=flexible("1s")),
    ask("ties, flexible 1m, previous step, 1h", TIES, conversion_order=flexible("1m"), window_anchor="previous_step", window_duration="1h"),
    ask("ties, microseconds, sequential", TIES, clock="microsecond"),
    ask("ties, microseconds, flexible 1us", TIES, preset="clickhouse-default/1"),
    ask("ties, microseconds, flexible 500ms, previous step", TIES, clock="microsecond", conversion_order=flexible("500ms"),
        window_anchor="previous_step", window_duration="2h"),
    ask("calls, shortest", CALLS, window_duration="10d"),
    ask("calls, earliest", CALLS, window_duration="10d", entry="earliest"),
    ask("calls, first", CALLS, window_duration="10d", entry="first"),
    ask("calls, first, days of New York", CALLS, {"start": "2011-11-05", "end": "2012-01-31", "time_zone": "America/New_York"},
        window_duration="10d", entry="first"),
    ask("calls, previous step, 12h, instants", CALLS, {"start": "2011-10-30T00:30:00+02:00", "end": "2011-12-24T18:00:00.250Z"},
        window_duration="12h", window_anchor="previous_step"),
    ask("calls, flexible 1d, previous step, 36h", CALLS, conversion_order=flexible("1d"), window_anchor="previous_step", window_duration="36h"),
    ask("calls, a start alone, days of Apia", CALLS, {"start": "2011-12-30", "time_zone": "Pacific/Apia"}, window_duration="5d"),
    ask("calls, an empty range", CALLS, {"start": "2013-01-01", "end": "2013-01-02"}),
    ask("a window that is just reached", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"], window_duration="40s"),
    ask("windows that are just reached, previous step", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"], window_duration="1s",
        window_anchor="previous_step", conversion_order=flexible("1s")),
    *(ask(f"calls begun and ended, as near before as after, {entry}", [f"W_{call}:start", f"W_{call}:complete"], entry=entry,
          conversion_order=flexible("2m")) for call in ("Completeren aanvraag", "Nabellen offertes") for entry in ("earliest", "first")),
    ask("a step twice, sequential", ["O_SENT", "O_SENT", "A_ACTIVATED"], window_duration="20d"),
    ask("one step", ["A_CANCELLED"]),
    ask("joined events", [{"name": "offer", "events": ["O_SELECTED", "O_CREATED"]}, "sent", {"name": "end", "events": ["O_ACCEPTED", "O_DECLINED"]}],
        event_types={"O_SENT": "sent", "O_CANCELLED": "end"}),
    ask("conditions: numbers", [{"name": "A_SUBMITTED", "where": [when("amount_req", ">=", 10000),
                                                                  when("amount_req", "<", 25000.5)]},
                                {"name": "O_SENT", "where": [when("resource", "in", [10138, 11181, 11169, 10972])]},
                                {"name": "A_ACTIVATED", "where": [when("resource", "!=", 10629)]}]),
    ask("conditions: strings and absent values", [
        {"name": "ER Registration", "where": [when("org_group", "=", "A")]},
        {"name": "Admission NC", "where": [when("org_group", "not_in", ["F", "O", 3])]},
        {"name": "Release A", "where": [when("amount_req", "not_exists"), when("org_group", "exists")]}]),
    ask("conditions: kinds", [
        {"name": "Assigned", "where": [when("mixed", "in", ["1", 1, True]), when("mixed", "!=", "1"),
                                       when("arm", "contains", "r")]},
        {"name": "W_Completeren aanvraag:start", "where": [when("resource", "<=", 11100)]},
        {"name": "A_ACCEPTED", "where": [when("mixed", "not_in", [1, "x"])]}]),
    ask("emergency, sequential", EMERGENCY),
    ask("emergency, flexible 1h", EMERGENCY, conversion_order=flexible("1h")),
    ask("emergency, flexible 1d, earliest", EMERGENCY, conversion_order=flexible("1d"), entry="earliest"),
    ask("lab, flexible 1m, 2h", LAB, conversion_order=flexible("1m"), window_duration="2h"),
    ask("lab, flexible 1d, first, previous step, 6h", LAB, conversion_order=flexible("1d"), entry="first", window_anchor="previous_step",
        window_duration="6h"),
    ask("return, 90d", RETURN, window_duration="90d"),
    ask("return, days of Amsterdam", RETURN, {"start": "2014-03-30", "end": "2014-10-26", "time_zone": "Europe/Amsterdam"}, window_duration="366d"),
]

BREAKDOWNS = [
    ask("emergency by group, first", EMERGENCY, {"breakdown": {"property": "org_group"}}),
    ask("emergency by group, last, k 3", EMERGENCY, {"breakdown": {"property": "org_group", "touch": "last", "k": 3}}),
    ask("emergency by group of step 5, k 1000", EMERGENCY, {"breakdown": {"property": "org_group", "touch": "step:5", "k": 1000}},
        conversion_order=flexible("1h")),
    ask("calls by resource, first", CALLS, {"breakdown": {"property": "resource", "touch": "first", "k": 7}}, window_duration="10d"),
    ask("calls by resource, last, earliest", CALLS, {"breakdown": {"property": "resource", "touch": "last", "k": 200}}, window_duration="10d",
        entry="earliest"),
    ask("calls by amount of step 2", CALLS, {"breakdown": {"property": "amount_req", "touch": "step:2"}, "start": "2011-11-01", "end": "2011-12-31"}),
    ask("ties by resource, microseconds", TIES, {"breakdown": {"property": "resource", "k": 2}}, preset="clickhouse-default/1"),
    ask("values of several kinds", ["Assigned", "A_ACCEPTED"], {"breakdown": {"property": "mixed"}}),
    ask("a property that none of them has", ["Assigned", "A_ACCEPTED"], {"breakdown": {"property": "tier"}}),
    ask("any order, first", LAB, {"breakdown": {"property": "org_group"}}, conversion_order="any", window_duration="2h"),
    ask("any order, step 2, shared events", ["CRP", {"name": "blood", "events": ["CRP", "Leucocytes"]}, "Admission NC"],
        {"breakdown": {"property": "org_group", "touch": "step:3", "k": 4}}, conversion_order="any"),
    ask("any order, last, ties", TIES, {"breakdown": {"property": "resource", "touch": "last"}}, conversion_order="any", entry="earliest"),
    ask("optional steps, step 3", CARE, {"breakdown": {"property": "org_group", "touch": "step:3"}}, conversion_order=flexible("1h")),
    ask("optional steps, last", CARE, {"breakdown": {"property": "org_group", "touch": "last"}}),
    ask("strict", ["ER Registration", "ER Triage", "ER Sepsis Triage"], {"breakdown": {"property": "org_group", "touch": "last", "k": 2}},
        conversion_order="strict"),
    ask("attempts by resource", CALLS, {"breakdown": {"property": "resource", "k": 5}}, count_by="attempts", window_duration="3d"),
    ask("sessions by resource", CALLS[:1] + ["W_Completeren aanvraag:complete"], {"breakdown": {"property": "resource", "touch": "last", "k": 5}},
        count_by="sessions"),
    ask("units by the amount", CALLS, {"breakdown": {"property": "amount_req", "k": 5}}, count_by="property:resource"),
    ask("held values", CALLS, {"breakdown": {"property": "resource", "k": 20}}, hold_constant=["resource"]),
    ask("excluded, users dropped", ["O_SENT", "O_SENT_BACK", "A_APPROVED"], {"breakdown": {"property": "resource", "touch": "step:2"}},
        exclude=[{"events": ["O_CANCELLED"], "after": 1, "before": 3, "effect": "drop_user"}]),
    ask("users by their tier", CALLS, {"breakdown": {"property": "user.tier", "touch": "last"}}, window_duration="10d"),
]

TRENDS = [
    ask("offers by week", OFFERS, {"trend": {"by": "week"}}),
    ask("offers by day, Amsterdam, clocks back", OFFERS, {"trend": {"by": "day"}, "time_zone": "Europe/Amsterdam", "start": "2011-10-20"},
        window_duration="2d"),
    ask("offers by day, Apia, which left out a day", OFFERS, {"trend": {"by": "day"}, "time_zone": "Pacific/Apia", "start": "2011-12-20",
                                                               "end": "2012-01-10"}),
    ask("calls by hour, Amsterdam, clocks back", CALLS, {"trend": {"by": "hour"}, "time_zone": "Europe/Amsterdam", "start": "2011-10-28",
                                                         "end": "2011-11-03"}, window_duration="10d"),
    ask("calls by hour, Kolkata, half an hour off", CALLS, {"trend": {"by": "hour"}, "time_zone": "Asia/Kolkata",
                                                           "start": "2011-12-01T10:10:00Z", "end": "2011-12-09T10:20:00Z"}),
    ask("calls by month, New York, first", CALLS, {"trend": {"by": "month"}, "time_zone": "America/New_York"}, entry="first"),
    ask("calls by week, earliest, previous step", CALLS, {"trend": {"by": "week"}, "start": "2011-10-12", "end": "2012-01-31"},
        entry="earliest", window_anchor="previous_step", window_duration="9d"),
    ask("emergency by month, Amsterdam", EMERGENCY, {"trend": {"by": "month"}, "time_zone": "Europe/Amsterdam", "end": "2014-12-10"}),
    ask("emergency by day, New York, clocks forward and back", EMERGENCY, {"trend": {"by": "day"}, "time_zone": "America/New_York",
                                                                           "start": "2014-02-20", "end": "2014-11-20"}),
    ask("any order by month", TIES, {"trend": {"by": "month"}}, conversion_order="any"),
    ask("strict by week", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"], {"trend": {"by": "week"}, "start": "2011-12-01",
                                                                                   "end": "2012-01-15"}, conversion_order="strict"),
    ask("optional steps by month, Amsterdam", CARE, {"trend": {"by": "month"}, "time_zone": "Europe/Amsterdam"}, conversion_order=flexible("1h")),
    ask("attempts by month", CALLS, {"trend": {"by": "month"}}, count_by="attempts", window_duration="3d"),
    ask("sessions by month, first", LAB, {"trend": {"by": "month"}}, count_by="sessions", session_gap="1d", entry="first"),
    ask("excluded, users dropped, by month", ["LacticAcid", "IV Antibiotics", "Admission NC"], {"trend": {"by": "month"}},
        exclude=[{"events": ["CRP"], "after": 1, "before": 2, "effect": "drop_user"}]),
    ask("held values by month", LAB, {"trend": {"by": "month"}, "start": "2014-01-15", "end": "2014-08-10"}, hold_constant=["org_group"],
        conversion_order=flexible("1h")),
]

# name, body, and the lists asked of it.
LISTS = [
    (*ask("offers", OFFERS), [(1, "reached"), (3, "reached"), (4, "dropped"), (4, "open"), (5, "converted")]),
    (*ask("ties, flexible 1s", TIES, conversion_order=flexible("1s")), [(2, "dropped"), (5, "reached")]),
    (*ask("emergency, flexible 1h", EMERGENCY, conversion_order=flexible("1h")), [(i, outcome) for i in range(2, 7) for outcome in ("dropped", "open")]),
    (*ask("calls in New York", CALLS, {"start": "2011-11-05", "end": "2012-01-31", "time_zone": "America/New_York"}, window_duration="10d",
          entry="first"), [(1, "reached"), (2, "dropped"), (3, "converted")]),
    (*ask("optional steps", CARE), [(2, "reached"), (3, "reached"), (4, "dropped"), (4, "open"), (6, "dropped"), (6, "open"), (6, "converted")]),
    (*ask("any order", TIES, conversion_order="any"), [(3, "reached"), (2, "dropped"), (5, "dropped"), (5, "open")]),
    (*ask("strict", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"], conversion_order="strict"), [(2, "dropped"), (2, "open"), (3, "converted")]),
    (*ask("held values", CALLS, hold_constant=["resource"]), [(1, "reached"), (3, "converted")]),
    (*ask("users dropped", ["O_SENT", "O_SENT_BACK", "A_APPROVED"],
          exclude=[{"events": ["O_CANCELLED"], "after": 1, "before": 3, "effect": "drop_user"}]), [(1, "reached"), (3, "dropped"), (3, "open")]),
    (*ask("of a cohort", CALLS, {"cohort": {"reached": {"funnel_id": "offers", "step": 4}}}), [(1, "reached"), (2, "dropped")]),
]

RULES = [
    ask("strict", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED"], conversion_order="strict"),
    ask("strict, repeated steps, earliest", ["W_Nabellen offertes:start", "W_Nabellen offertes:complete", "W_Nabellen offertes:start"],
        conversion_order="strict", entry="earliest"),
    ask("strict, previous step, first", ["ER Registration", "ER Triage", "ER Sepsis Triage", "Leucocytes"], conversion_order="strict",
        window_anchor="previous_step", window_duration="2h", entry="first"),
    ask("any", TIES, conversion_order="any"),
    ask("any, earliest, 2h", LAB + ["IV Antibiotics"], conversion_order="any", entry="earliest", window_duration="2h"),
    ask("any, first, steps that share events", ["CRP", {"name": "blood", "events": ["CRP", "Leucocytes"]}, "LacticAcid"],
        {"start": "2014-01-01", "end": "2014-06-30"}, conversion_order="any", entry="first", window_duration="3d"),
    ask("any, microseconds, weights", TIES, conversion_order="any", clock="microsecond", window_duration="6h", probability=0.25),
    ask("a step twice, flexible 1m", ["O_SENT", "O_SENT", "A_ACTIVATED"], conversion_order=flexible("1m")),
    ask("steps that share events, flexible 1h", ["LacticAcid", {"name": "blood", "events": ["CRP", "Leucocytes"]}, "CRP", "Leucocytes"],
        conversion_order=flexible("1h"), window_duration="12h"),
    ask("any event between, flexible 1s", ["A_ACCEPTED", {"name": "anything", "events": ["*"]}, "O_SENT"], conversion_order=flexible("1s"),
        window_duration="3d"),
    ask("optional steps", VALIDATE),
    ask("optional steps, earliest, microseconds", VALIDATE, clock="microsecond", entry="earliest", window_duration="14d"),
    ask("optional steps, flexible 1h", CARE, conversion_order=flexible("1h")),
    ask("optional steps, previous step", CARE, window_anchor="previous_step", window_duration="5d"),
    ask("windows of steps", ["A_SUBMITTED", {"name": "A_PREACCEPTED", "window_duration": "1m"}, {"name": "A_ACCEPTED", "window_duration": "2d"},
                             {"name": "O_SENT_BACK", "window_duration": "10d"}]),
    ask("windows of steps, flexible 1h", ["ER Registration", {"name": "IV Liquid", "window_duration": "30m"},
                                          {"name": "IV Antibiotics", "window_duration": "20m"}], conversion_order=flexible("1h")),
    ask("exclude, ends an attempt", ACCEPT, exclude=[{"events": ["W_Completeren aanvraag:start"], "after": 2, "before": 3}]),
    ask("exclude, between all steps", ["O_SENT", "O_SENT_BACK", "A_APPROVED"],
        exclude=[{"events": ["W_Nabellen incomplete dossiers:start"], "after": 1, "before": 3},
                 {"events": ["O_CANCELLED", "O_SELECTED"], "after": 1, "before": 2}]),
    ask("exclude with a condition, shortest and earliest", CALLS, entry="earliest", window_duration="10d",
        exclude=[{"events": ["*"], "where": [when("resource", "=", 11169)], "after": 1, "before": 3}]),
    ask("exclude, drops users", ["O_SENT", "O_SENT_BACK", "A_APPROVED"],
        exclude=[{"events": ["O_CANCELLED"], "after": 1, "before": 3, "effect": "drop_user"}]),
    ask("exclude, both effects, previous step", CALLS, window_anchor="previous_step", window_duration="5d",
        exclude=[{"events": ["A_CANCELLED", "A_DECLINED"], "after": 1, "before": 3, "effect": "drop_user"},
                 {"events": ["W_Completeren aanvraag:start"], "after": 2, "before": 3}]),
    ask("exclude, flexible 1h", ["ER Registration", "IV Antibiotics", "Admission NC"], conversion_order=flexible("1h"),
        exclude=[{"events": ["Leucocytes"], "after": 1, "before": 2}, {"events": ["CRP"], "after": 2, "before": 3, "effect": "drop_user"}]),
    ask("exclude, preset posthog/1", ["ER Registration", "IV Antibiotics", "Admission NC"], preset="posthog/1",
        exclude=[{"events": ["IV Liquid"], "after": 1, "before": 3}]),
    ask("exclude, optional steps", CARE, exclude=[{"events": ["Admission NC"], "after": 2, "before": 5},
                                                  {"events": ["CRP"], "after": 1, "before": 3, "effect": "drop_user"}]),
    ask("exclude, any", ["A_APPROVED", "A_REGISTERED", "O_ACCEPTED"], conversion_order="any",
        exclude=[{"events": ["A_ACTIVATED"], "after": 1, "before": 3}]),
    ask("hold_constant", CALLS, hold_constant=["resource"]),
    ask("hold_constant, flexible 1h, first", LAB, hold_constant=["org_group"], conversion_order=flexible("1h"), entry="first"),
    ask("hold_constant, a name for each step", ["Assigned", "W_Completeren aanvraag:start", "W_Nabellen offertes:start"],
        hold_constant=[["mixed", "resource", "resource"]]),
    ask("hold_constant, numbers and strings", ["Assigned", "Renewed"], hold_constant=[["mixed", "level"]], window_duration="366d"),
    ask("hold_constant, two", CALLS, hold_constant=["resource", "amount_req"], window_anchor="previous_step", window_duration="3d"),
    ask("hold_constant, any", CALLS, hold_constant=["resource"], conversion_order="any", window_duration="10d"),
    ask("everything at once", VALIDATE, hold_constant=["amount_req"], conversion_order=flexible("1m"), entry="earliest",
        exclude=[{"events": ["A_CANCELLED"], "after": 3, "before": 5, "effect": "drop_user"}], probability=0.75),
    ask("gold users, a property of theirs", ["A_SUBMITTED", {"name": "A_ACCEPTED", "where": [when("user.tier", "=", "gold")]},
                                             {"name": "O_SENT", "where": [when("user.tier", "!=", 2)]}]),
    ask("excluded for a property of theirs", CALLS, exclude=[{"events": ["*"], "where": [when("user.tier", "in", [2, "silver"])],
                                                               "after": 1, "before": 2, "effect": "drop_user"}]),
]

COUNTED = [
    ask("attempts", CALLS, count_by="attempts", window_duration="3d"),
    ask("attempts, flexible 1d, earliest", LAB, count_by="attempts", conversion_order=flexible("1d"), entry="earliest", window_duration="1d"),
    ask("attempts, as near before as after", ["W_Completeren aanvraag:start", "W_Completeren aanvraag:complete"], count_by="attempts",
        conversion_order=flexible("2m"), window_duration="3h"),
    ask("attempts, excluded", CALLS, {"start": "2011-11-01"}, count_by="attempts", window_anchor="previous_step", window_duration="4d",
        exclude=[{"events": ["A_DECLINED", "A_CANCELLED"], "after": 1, "before": 3}]),
    ask("attempts, strict", ["W_Nabellen offertes:start", "W_Nabellen offertes:complete", "W_Valideren aanvraag:start"], count_by="attempts",
        conversion_order="strict"),
    ask("attempts, any", LAB, count_by="attempts", conversion_order="any", window_duration="1d"),
    ask("attempts, drop_user", ["O_SENT", "O_SENT_BACK"], preset="mixpanel-totals/1",
        exclude=[{"events": ["O_CANCELLED"], "after": 1, "before": 2, "effect": "drop_user"}]),
    ask("sessions", CALLS[:1] + ["W_Completeren aanvraag:complete", "A_ACCEPTED"], count_by="sessions"),
    ask("sessions, gap of a day, first", LAB, {"count_by": "sessions", "session_gap": "1d"}, entry="first"),
    ask("sessions, drop_user", ["LacticAcid", "IV Antibiotics"], count_by="sessions", session_gap="2h",
        exclude=[{"events": ["CRP"], "after": 1, "before": 2, "effect": "drop_user"}]),
    ask("a property's values", CALLS, count_by="property:resource"),
    ask("a property's values, strict", ["Leucocytes", "CRP"], {"count_by": "property:org_group"}, conversion_order="strict"),
]

# As above, with the members of `/v1/query/times`.
TIMES = [
    ask("offers, linear", OFFERS, {"from": 3, "to": "A_ACTIVATED"}),
    ask("offers, log", OFFERS, {"to": 2, "bins": 40}),
    ask("offers, thinned out", OFFERS, {"to": 3, "bins": 6}),
    ask("ties, microseconds, flexible 1us", TIES, {"from": 2, "to": 4, "bins": 60}, preset="clickhouse-default/1"),
    ask("emergency, flexible 1h", EMERGENCY, {"bins": 100}, conversion_order=flexible("1h")),
    ask("return, few bars", RETURN, {"from": "Release A", "bins": 5}, window_duration="366d"),
    ask("nobody", CALLS, {"start": "2013-01-01"}),
    ask("optional steps", CARE, {"from": "LacticAcid", "to": "IV Antibiotics"}),
]

GROUPS = [
    ask("emergency, group A", EMERGENCY, {"group": {"property": "org_group", "value": "A"}, "step": 4, "outcome": "reached"}),
    ask("emergency, last group E", EMERGENCY, {"group": {"property": "org_group", "touch": "last", "value": "E"}, "step": 6, "outcome": "converted"}),
    ask("emergency, nobody got so far", EMERGENCY, {"group": {"property": "org_group", "touch": "step:5", "value": None}, "step": 5, "outcome": "dropped"}),
    ask("a number", ["Assigned", "A_ACCEPTED"], {"group": {"property": "mixed", "value": 1}, "step": 2, "outcome": "dropped"}),
    ask("a string", ["Assigned", "A_ACCEPTED"], {"group": {"property": "mixed", "value": "1"}, "step": 1}),
    ask("a boolean", ["Assigned", "A_ACCEPTED"], {"group": {"property": "mixed", "value": True}, "step": 2, "outcome": "reached"}),
    ask("no value", ["Assigned", "A_ACCEPTED"], {"group": {"property": "mixed", "value": None}, "step": 2, "outcome": "reached"}),
]

# Users are taken at even distances from all that there are.
EXPLAINED = [
    ask("offers, flexible 1h", OFFERS, conversion_order=flexible("1h")), ask("emergency", EMERGENCY, entry="earliest"),
             ask("calls, previous step", CALLS, window_anchor="previous_step", window_duration="2d"), ask("lab", LAB, window_duration="1h"),
             ask("a condition", ["A_SUBMITTED", {"name": "O_SENT", "where": [when("resource", "<", 11000)]}, "O_SENT_BACK"],
                 window_duration="12d"),
             ask("ties", TIES, preset="clickhouse-default/1", window_duration="1d"), ask("care", CARE, conversion_order=flexible("1h")),
    ask("any order", TIES, conversion_order="any", window_duration="2d"), ask("strict", EMERGENCY[:3], conversion_order="strict"),
    ask("held and excluded", LAB, hold_constant=["org_group"], exclude=[{"events": ["IV Liquid"], "after": 1, "before": 2, "effect": "drop_user"}]),
]

PATHS = [
    ask("after the offer", OFFERS, {"from": {"dropped": "A_ACTIVATED"}}),
    ask("after the offer, length 1", OFFERS, {"from": {"dropped": 5}, "length": 1, "k": 4}, conversion_order=flexible("1h")),
    ask("between acceptance and offer, length 5", OFFERS, {"from": {"between": ["A_ACCEPTED", 4]}, "length": 5, "k": 100}),
    ask("between calls, some events", CALLS, {"from": {"between": [1, 2]}, "events": ["O_SENT", "O_CANCELLED", "W_Nabellen offertes:complete"]},
        window_anchor="previous_step", window_duration="3d"),
    ask("after calls, but for some events", CALLS, {"from": {"dropped": 2}, "exclude_events": ["Renewed", "W_Completeren aanvraag:complete"],
                                                    "start": "2011-11-01", "end": "2011-11-30", "time_zone": "Europe/Amsterdam"},
        window_anchor="previous_step", window_duration="3d"),
    ask("ties, flexible 1us", TIES, {"from": {"between": [1, 4]}, "length": 5}, preset="clickhouse-default/1"),
    ask("after admission", EMERGENCY, {"from": {"dropped": 6}, "length": 4}, conversion_order=flexible("1d")),
    ask("after IV Antibiotics, optional steps", CARE, {"from": {"dropped": "Release A"}}),
    ask("between optional steps", CARE, {"from": {"between": [3, 6]}, "length": 2}, conversion_order=flexible("1h")),
    ask("after CRP, any order", LAB, {"from": {"dropped": 3}}, conversion_order="any", window_duration="2h"),
    ask("nobody", CALLS, {"from": {"dropped": 2}, "start": "2013-01-01"}),
]

PREDICTORS = [
    ask("offers", OFFERS, {"k": 1000}),
    ask("offers, step 3 of 1, 2d", OFFERS, {"step": 3, "of": 1, "k": 50, "min_users": 100}, window_duration="2d"),
    ask("offers, names alone", OFFERS, {"properties": False}, conversion_order=flexible("1h")),
    ask("emergency", EMERGENCY, {"k": 1000, "min_users": 1}),
    ask("emergency, admission, flexible 1h", EMERGENCY, {"step": "Admission NC", "of": 2, "k": 100}, conversion_order=flexible("1h")),
    ask("return, previous step", RETURN, {"k": 30}, window_anchor="previous_step", window_duration="60d"),
    ask("ties, microseconds", TIES, {"step": 2}, preset="clickhouse-default/1"),
    ask("care, optional steps", CARE, {"of": "IV Liquid", "k": 40}),
    ask("calls, a step for any event", ["A_ACCEPTED", {"name": "anything", "events": ["*"]}, "A_ACTIVATED"], {"k": 60}),
]

# Funnels that cohorts and experiments name.
SAVED = {
    "calls": funnel(CALLS, funnel_id="calls", window_duration="10d"),
    "offers": funnel(OFFERS, funnel_id="offers"),
    "care": funnel(CARE, funnel_id="care", conversion_order=flexible("1h")),
    "emergency": funnel(EMERGENCY, funnel_id="emergency"),
    "attempts": funnel(["O_SENT", "O_SENT_BACK"], funnel_id="attempts", preset="mixpanel-totals/1"),
}


def did(funnel_id, step):
    return {"reached": {"funnel_id": funnel_id, "step": step}}


def left(funnel_id, step):
    return {"dropped": {"funnel_id": funnel_id, "step": step}}


COHORTS = [
    ask("offers of those who got calls", OFFERS, {"cohort": did("calls", 2)}),
    ask("offers of those who dropped", OFFERS, {"cohort": left("offers", "A_ACTIVATED"), "start": "2011-12-01"}),
    ask("calls of a funnel of attempts", CALLS, {"cohort": left("attempts", 2)}, window_duration="10d", entry="earliest"),
    ask("any order, of a cohort", LAB, {"cohort": did("emergency", "Release A")}, conversion_order="any", window_duration="2h"),
    ask("of a funnel with optional steps", RETURN, {"cohort": did("care", "LacticAcid")}, window_duration="90d"),
]

SEGMENTS = [
    ask("emergency by group and cohort", EMERGENCY, {"segments": [
        {"name": "A", "where": [when("org_group", "=", "A")]},
        {"name": "not A, admitted", "where": [when("org_group", "!=", "A")], "cohort": did("emergency", 5)},
        {"name": "not released", "cohort": left("emergency", 6)},
        {"name": "nobody", "where": [when("org_group", "not_exists")]}]}),
    ask("calls by amount, own cohort", CALLS, {"cohort": did("offers", 3), "segments": [
        {"name": "small", "where": [when("amount_req", "<", 6000)]},
        {"name": "large", "where": [when("amount_req", ">=", 20000)], "cohort": did("calls", 3)}]}, window_duration="10d",
        entry="first"),
    ask("with conditions of its own", [{"name": "Assigned", "where": [when("score", ">", 1)]}, "A_ACCEPTED"], {"segments": [
        {"name": "blue", "where": [when("arm", "=", "blue"), when("score", "<", 5)]}]}),
    ask("with a breakdown", EMERGENCY, {"breakdown": {"property": "org_group"}, "segments": [{"name": "admitted", "cohort": did("emergency", 5)}]}),
    ask("with a trend and a cohort, any order", TIES, {"trend": {"by": "month"}, "cohort": did("calls", 2), "segments": [
        {"name": "small", "where": [when("amount_req", "<", 6000)]}]}, conversion_order="any"),
    ask("of attempts", CALLS, {"count_by": "attempts", "segments": [
        {"name": "large", "where": [when("amount_req", ">=", 20000)], "cohort": did("offers", 4)}]}, window_duration="3d"),
    ask("gold users", CALLS, {"segments": [{"name": "gold", "where": [when("user.tier", "=", "gold")]},
                                           {"name": "without", "where": [when("user.tier", "not_exists")]}]}),
]

PERIODS = [
    ask("offers, days", OFFERS, {"compare": "previous_period", "start": "2011-12-01", "end": "2011-12-31"}),
    ask("offers, days of Amsterdam with clocks back", OFFERS, {"compare": "previous_period", "start": "2011-10-29", "end": "2011-11-14",
                                                              "time_zone": "Europe/Amsterdam"}, window_duration="7d"),
    ask("calls, instants, immature", CALLS, {"compare": "previous_period", "start": "2012-02-10T12:00:00Z", "end": "2012-02-17T12:00:00.5Z"},
        window_anchor="previous_step", window_duration="4d"),
    ask("excluded, users dropped", ["O_SENT", "O_SENT_BACK", "A_APPROVED"], {"compare": "previous_period", "start": "2012-01-01", "end": "2012-01-31"},
        exclude=[{"events": ["O_CANCELLED"], "after": 1, "before": 3, "effect": "drop_user"}]),
    ask("emergency, nobody before", EMERGENCY, {"compare": "previous_period", "start": "2013-06-01", "end": "2014-05-31"}),
]

EXPERIMENTS = [
    ask("arms", ["Assigned", "A_ACCEPTED", "A_ACTIVATED"], {"variants": {"property": "arm"}, "end": "2012-01-01"}),
    ask("arms, planned shares", ["Assigned", "A_ACCEPTED"], {"variants": {"property": "arm", "expected": {"control": 3, "blue": 3, "green": 2, "red": 2}}}),
    ask("arms, shares that do not hold", ["Assigned", "A_ACCEPTED"],
        {"variants": {"property": "arm", "control": "blue", "expected": {"control": 1, "blue": 1, "green": 1, "red": 1, "white": 1}}}),
    ask("rare conversions", ["Assigned", "W_Wijzigen contractgegevens:schedule"], {"variants": {"property": "arm"}}, window_duration="300d"),
    ask("arms over a few weeks, fraud", ["Assigned", "W_Beoordelen fraude:start"], {"variants": {"property": "arm"}, "start": "2011-11-01",
                                                                                     "end": "2011-11-20"}),
    ask("levels seen", ["Renewed", "Renewed"], {"variants": {"property": "level", "control": 1}}),
    ask("levels seen, from a second on, any order", ["Renewed", "A_ACTIVATED"],
        {"variants": {"property": "level"}, "start": "2012-03-01T00:00:01Z"}, conversion_order="any", window_duration="300d"),
    ask("levels of the attempt", ["Renewed", "Renewed"], {"variants": {"property": "level", "exposure": "attempt", "control": 1}}, entry="earliest"),
    ask("groups at the lab, held", [{"name": "LacticAcid", "where": [when("org_group", "in", ["B", "A", "C"])]}, "Leucocytes"],
        {"variants": {"property": "org_group"}}, hold_constant=["org_group"]),
    ask("groups at the lab, flexible, first entry", [{"name": "Leucocytes", "where": [when("org_group", "in", ["B", "A", "C", "E"])]}, "CRP"],
        {"variants": {"property": "org_group"}}, conversion_order=flexible("1h"), entry="first", window_duration="1d"),
    ask("arms by the last step", ["Assigned", "A_ACCEPTED"], {"variants": {"property": "arm", "touch": "last"}}),
    ask("numbers", ["Assigned", "A_ACCEPTED"], {"variants": {"property": "score", "touch": "first", "control": 3}}),
    ask("values of several kinds", ["Assigned", "O_SENT"], {"variants": {"property": "mixed"}}),
    ask("arms of a cohort, optional steps", ["Assigned", {"name": "A_PREACCEPTED", "optional": True}, "A_ACCEPTED"],
        {"variants": {"property": "arm"}, "cohort": did("calls", 1)}, entry="earliest"),
    ask("tiers of users", ["Assigned", "A_ACCEPTED"], {"variants": {"property": "user.tier", "control": 2}, "end": "2011-12-31"}),
    ask("groups of patients", RETURN, {"variants": {"property": "org_group"}, "start": "2014-01-01", "end": "2014-05-31"}, window_duration="28d"),
]


def two(name, one, other, **query):
    return name, {"variants": {"funnels": [{"name": "one", "funnel": one}, {"name": "other", "funnel": other}]}, "as_of": LOANS_AS_OF, **query}


PAIRS = [
    two("sequential and flexible", funnel(TIES), funnel(TIES, conversion_order=flexible("1s"))),
    two("two windows", funnel(OFFERS, window_duration="10d"), funnel(OFFERS, window_duration="15d"), start="2011-11-01", end="2011-12-31"),
    two("other steps", funnel(CALLS), funnel(["A_SUBMITTED", "A_ACCEPTED", "A_ACTIVATED"], entry="earliest")),
    two("the same", funnel(RETURN), funnel(RETURN)),
]
