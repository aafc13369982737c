"""posthog: batches of 100, sent by a thread. `v1` is its newer protocol, which it uses when it is configured so."""

from posthog import Posthog

from sender import moment, plan, properties, uuid_of


def send(case):
    more = {"capture_mode": "v1"} if case.form.startswith("v1") else {}
    if case.form in ("v1 gzip", "v1 deflate"):
        more["capture_compression"] = case.form.split()[1]
    posthog = Posthog(
        case.key, host=case.url, gzip=case.gzip, on_error=case.failed, timeout=case.timeout, max_queue_size=1_000_000, **more)
    if case.profiles:
        for row in case.first_rows():
            posthog.set(distinct_id=row["user"], properties={"plan": plan(row)}, timestamp=moment(row))
            posthog.group_identify("company", "acme", {"plan": "group"}, timestamp=moment(row))
            posthog.alias("device of " + row["user"], row["user"], timestamp=moment(row))
    for row in case.rows:
        posthog.capture(
            row["event"], distinct_id=row["user"], properties=properties(row), timestamp=moment(row),
            uuid=uuid_of(row) if case.ids else None)
    posthog.flush(timeout_seconds=None)
    posthog.shutdown()
