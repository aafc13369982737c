"""mixpanel: batches of 50, sent by the caller's thread. It repeats failed requests over TLS alone; then the caller flushes again."""

import time

from mixpanel import BufferedConsumer, Mixpanel, MixpanelException, ServiceAccountCredentials

from sender import plan, properties


def send(case):
    options = {"request_timeout": case.timeout}
    if case.form == "plain text":
        options |= {name + "_url": f"{case.url}/{path}" for name, path in (("events", "track"), ("people", "engage"), ("groups", "groups"))}
    else:
        options |= {"api_host": case.host}
    if case.form == "import":
        options |= {"credentials": ServiceAccountCredentials(case.key, "any-secret", "1")}
    consumer = BufferedConsumer(**options)
    mixpanel = Mixpanel(case.key, consumer)
    if case.profiles:
        for row in case.first_rows():
            attempt(case, lambda: mixpanel.people_set(row["user"], {"plan": plan(row)}, meta={"$time": row["ms"] / 1000}))
            attempt(case, lambda: mixpanel.group_set("company", "acme", {"plan": "group"}))
    for row in case.rows:
        more = properties(row)
        if case.ids:
            more["$insert_id"] = row["id"]
        seconds = row["ms"] / 1000 if row["ms"] % 1000 else row["ms"] // 1000
        if case.form == "import":
            attempt(case, lambda: mixpanel.import_data(None, row["user"], row["event"], seconds, more))
        else:
            attempt(case, lambda: mixpanel.track(row["user"], row["event"], {**more, "time": seconds}))
    for _ in range(40):
        if attempt(case, consumer.flush):
            return
        time.sleep(0.3)
    case.errors = sum(len(buffer) for buffer in consumer._buffers.values())


def attempt(case, call):
    """An exception leaves the batch in the consumer's buffer."""
    try:
        call()
        return True
    except MixpanelException as error:
        case.note(error)
        return False
