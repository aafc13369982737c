"""segment-analytics-python: batches of 100, sent by a thread."""

import segment.analytics as analytics

from sender import moment, plan, properties


def send(case):
    analytics.write_key, analytics.host = case.key, case.url
    use(case, analytics)
    for row in case.rows:
        analytics.track(
            row["user"], row["event"], properties(row), timestamp=moment(row), message_id=row["id"] if case.ids else None)
    analytics.shutdown()


def use(case, analytics):
    """The settings that RudderStack's SDK has too, and the calls that say who a user is."""
    analytics.gzip, analytics.on_error, analytics.timeout = case.gzip, case.failed, case.timeout
    # Events beyond the queue's size are dropped without a word.
    analytics.max_queue_size = 1_000_000
    if case.profiles:
        for row in case.first_rows():
            analytics.identify(row["user"], {"plan": plan(row)}, timestamp=moment(row))
            analytics.group(row["user"], "acme", {"plan": "group"}, timestamp=moment(row))
            analytics.alias("device of " + row["user"], row["user"], timestamp=moment(row))
