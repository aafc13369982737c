"""snowplow-tracker: 10 events a request, by GET one, sent by the caller's thread; a timer sends again what failed."""

import time

from snowplow_tracker import EmitterConfiguration, SelfDescribing, SelfDescribingJson, Snowplow, StructuredEvent, Subject

from sender import properties


def send(case):
    case.successes = 0

    def succeeded(events):
        case.successes += len(events)

    def failed(_, events):
        case.note(f"{len(events)} failed")

    tracker = Snowplow.create_tracker(
        namespace="sp", endpoint=case.url, app_id=case.key, method="get" if case.form == "get" else "post",
        emitter_config=EmitterConfiguration(on_success=succeeded, on_failure=failed, request_timeout=case.timeout))
    for row in case.rows:
        tracker.track(event(case, row))
    emitter = tracker.emitters[0]
    deadline = time.monotonic() + 100
    while case.successes < len(case.rows) and time.monotonic() < deadline:
        emitter.flush()  # returns at once while the timer for a retry runs
        time.sleep(0.02)
    case.errors = len(case.rows) - case.successes


def event(case, row):
    subject = Subject().set_user_id(row["user"])
    if case.form == "self-describing":
        data = SelfDescribingJson(f"iglu:com.acme/{row['event']}/jsonschema/1-0-0", properties(row))
        return SelfDescribing(data, event_subject=subject, true_timestamp=row["ms"])
    return StructuredEvent(
        "shop", row["event"], label=str(row["row"]), property_=row["group"], value=row["value"], event_subject=subject,
        true_timestamp=row["ms"])
