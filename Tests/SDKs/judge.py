"""Whether a case went as it must: what the SDK sent, what it was told, and what Sluice counts."""

import collections

import funnel
from sender import plan

WINDOW_DAYS = 10
NAMES = {"row": "se_label", "group": "se_property", "value": "se_value"}


class Verdict:
    """The columns of the table, and what is wrong."""

    def __init__(self, case, error=None):
        self.case, self.wrong, self.notes = case, [repr(error)[:300]] if error else [], []
        self.sent = self.acknowledged = self.counted = self.resent = self.dropped = 0

    def check(self, holds, words):
        if not holds:
            self.wrong.append(words)


def judge(case, project, cluster, proxy, reports, page_faults=()):
    """`reports`: for each run what the SDK said: {"errors", "successes", "notes"}, and of a page "unreadable"."""
    verdict = Verdict(case)
    rows = {row["row"]: row for row in case.log.rows}
    judge_traffic(verdict, rows, proxy)
    stored = proxy.stored()
    told = proxy.acknowledged()
    verdict.dropped = len(rows.keys() - stored)
    verdict.acknowledged = len(told)
    verdict.check(verdict.dropped == 0 or case.may_drop, f"{verdict.dropped} lost")
    if case.may_be_silent:
        if silent := len(stored - told):
            verdict.notes.append(f"of {silent} stored the SDK never said anything")
    else:
        verdict.check(told == stored, f"{len(stored - told)} stored, which the SDK does not know")
    for report in reports:
        for note in report["notes"] if case.fault in (None, "again") else []:
            verdict.check(False, f"the SDK says: {note}")
        verdict.check(report["errors"] == verdict.dropped, f"the SDK reports {report['errors']} as failed")
        if report["successes"] is not None:
            successes = len(told) if case.may_be_silent else len(rows) - verdict.dropped
            verdict.check(report["successes"] == successes, f"the SDK reports {report['successes']} as sent")
        # Pages may read ingest's own errors too.
        if case.fault == "kill" and (unreadable := report.get("unreadable")):
            verdict.check(False, f"the page cannot read {unreadable} answers")
    if case.fault in (None, "again"):
        for fault in page_faults:
            verdict.check(False, f"the page's console: {fault}")
    judge_counts(verdict, [row for number, row in rows.items() if number in stored], project, cluster)
    return verdict


def judge_traffic(verdict, rows, proxy):
    case, times, ids = verdict.case, collections.Counter(), {}
    for event in proxy.sent():
        times[event.row] += 1
        ids.setdefault(event.row, set()).add(event.id)
    verdict.sent = len(times)
    verdict.resent = sum(times.values()) - case.runs * len(times)
    verdict.check(times.keys() == rows.keys(), f"{len(rows.keys() - times.keys())} never sent")
    changed = sum(len(of) > 1 for of in ids.values())
    verdict.check(changed == 0, f"{changed} with another id when sent again")
    if case.fault in (None, "again", "twice"):
        verdict.check(verdict.resent == 0, "sent again without a reason")
    elif case.fault != "kill":
        verdict.check(proxy.faults.made > 0, "no fault was made")
        verdict.check(verdict.resent > 0 or case.may_drop or case.may_be_silent, "nothing sent again")
    for call, status in proxy.others:
        verdict.check(status in (200, 204), f"{call}: {status}")
    statuses = proxy.statuses()
    if case.fault == "kill":
        verdict.notes.append("answers of ingest: " + (", ".join(f"{n} times {status}" for status, n in statuses.items()) or "all 200"))
    else:
        verdict.check(not statuses, f"ingest answered {statuses}")


def judge_counts(verdict, rows, project, cluster):
    """`rows`: those that are stored."""
    case = verdict.case
    names = NAMES if case.is_structured else {}
    # Any events, twice: a row that is stored twice reaches the second step.
    any_event = {"name": "any", "events": ["*"]}
    each = {
        "steps": [any_event, {**any_event, "name": "another"}], "conversion_order": {"flexible": {"limit": "1s"}},
        "count_by": "property:" + names.get("row", "row"),
    }
    verdict.counted, doubled = cluster.counts(project, each)
    verdict.check(verdict.counted == len(rows), f"{verdict.counted} counted of {len(rows)} stored")
    verdict.check(doubled == 0, f"{doubled} doubled")
    compare(verdict, "users", {row["user"] for row in rows}, cluster.users(project, any_event))
    for name in sorted({row["event"] for row in rows}) if case.fault is None else []:
        compare(verdict, f"users of {name}", {row["user"] for row in rows if row["event"] == name}, cluster.users(project, name))
    steps, window = case.log.steps, WINDOW_DAYS * 86_400
    common = {"window_duration": f"{WINDOW_DAYS}d"}
    compare_counts(verdict, "funnel", funnel.counts(rows, steps, window), cluster.counts(project, {"steps": steps, **common}))
    compare_counts(
        verdict, "funnel in microseconds", funnel.counts(rows, steps, window, tick_ms=1),
        cluster.counts(project, {"steps": steps, "clock": "microsecond", **common}))
    conditions = [(case.log.condition, names.get(case.log.condition[0], case.log.condition[0]))]
    if case.form == "profiles":
        rows = [{**row, "plan": plan(row)} for row in rows]
        conditions.append((("plan", "=", "pro"), "user.plan"))
    for condition, name in conditions:
        first = {"name": steps[0], "where": [{"property": name, "op": condition[1], "value": condition[2]}]}
        compare_counts(
            verdict, f"funnel where {name}", funnel.counts(rows, steps, window, condition),
            cluster.counts(project, {"steps": [first, *steps[1:]], **common}))


def compare_counts(verdict, name, expected, got):
    verdict.check(expected[0] > 0, f"{name}: nobody is expected, so it proves nothing")
    verdict.check(expected == got, f"{name}: {got}, expected {expected}")


def compare(verdict, name, expected, got):
    missing, more = expected - got, got - expected
    verdict.check(expected == got, f"{name}: {len(missing)} missing, {len(more)} too many, such as {[*missing, *more][:3]}")
