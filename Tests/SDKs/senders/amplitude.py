"""amplitude-analytics: up to 200 events a request, several requests at once. It waits 10 s for an answer, which no option changes."""

import time

from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify

from sender import plan, properties


def send(case):
    told = {}

    def hear(event, code, message):
        if event.event_type.startswith("$"):
            case.errors += code != 200
        else:
            told[event.event_properties["row"]] = code
        if code != 200:
            case.note(f"{code} {message}")

    path = "/batch" if case.form == "batch" else "/2/httpapi"
    amplitude = Amplitude(case.key, Config(server_url=case.url + path, callback=hear, flush_interval_millis=500))
    if case.profiles:
        for row in case.first_rows():
            amplitude.identify(Identify().set("plan", plan(row)), EventOptions(user_id=row["user"], time=row["ms"]))
            amplitude.group_identify("company", "acme", Identify().set("plan", "group"), EventOptions(user_id=row["user"]))
    for row in case.rows:
        amplitude.track(BaseEvent(
            row["event"], user_id=row["user"], time=row["ms"], insert_id=row["id"] if case.ids else None, event_properties=properties(row)))
    amplitude.flush()
    # An exception in a thread of the SDK ends without a callback; so the time is limited too.
    deadline, count, since = time.monotonic() + 100, 0, time.monotonic()
    while len(told) < len(case.rows) and time.monotonic() < deadline:
        time.sleep(0.05)
        if len(told) != count:
            count, since = len(told), time.monotonic()
        if time.monotonic() - since > case.patience:
            break
    amplitude.shutdown()
    case.errors += sum(code != 200 for code in told.values())
    case.successes = sum(code == 200 for code in told.values())
