"""rudder-sdk-python: batches of 100, sent by a thread. It compresses unless it is configured otherwise."""

import warnings

warnings.simplefilter("ignore")

import rudderstack.analytics as rudder_analytics  # noqa: E402: it warns while it is imported

from sender import moment, properties  # noqa: E402
from senders.segment import use  # noqa: E402


def send(case):
    rudder_analytics.write_key, rudder_analytics.dataPlaneUrl = case.key, case.url
    use(case, rudder_analytics)
    for row in case.rows:
        rudder_analytics.track(
            row["user"], row["event"], properties(row), timestamp=moment(row), message_id=row["id"] if case.ids else None)
    rudder_analytics.shutdown()
