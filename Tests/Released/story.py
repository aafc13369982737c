"""What every release is told to keep: the same events, funnels and keys. Times are in 2024, so that no clock refuses them."""

import random
import uuid

from json_events import event_of_json

SECRET = "released-secret-of-the-cluster-000000001"
WRITE = {1: "released-write-key-of-project-1", 2: "released-write-key-of-project-2"}
READ = {1: "released-read-key-of-project-1", 2: "released-read-key-of-project-2"}
ADMIN = {1: "released-admin-key-of-project-1", 2: "released-admin-key-of-project-2"}


def environment():
    """The settings of the cluster, as variables."""
    def listed(keys):
        return ",".join(f"{project}:{key}" for project, key in keys.items())
    return {"SLUICE_WRITE_KEYS": listed(WRITE), "SLUICE_READ_KEYS": listed(READ), "SLUICE_ADMIN_KEYS": listed(ADMIN),
            "SLUICE_CLUSTER_SECRET": SECRET}


# By project.
FUNNELS = {
    1: {
        "checkout": {
            "steps": ["Visit", "Sign Up", {"name": "Order", "events": ["Purchase"], "where": [
                {"property": "price", "op": ">", "value": 5}, {"property": "user.country", "op": "!=", "value": "NL"}]}],
            "event_types": {"Register": "Sign Up"}, "probability": {"Visit": 0.125, "Sign Up": 0.4}, "window_duration": "14d",
            "default": True},
        "guided": {
            "steps": ["Visit", {"name": "Search", "optional": True, "window_duration": "2d"}, "Add To Cart", "Purchase"],
            "window_duration": "7d", "conversion_order": {"flexible": {"limit": "1h"}}, "entry": "earliest", "clock": "microsecond",
            "exclude": [{"events": ["Help"], "after": 1, "before": 3}], "hold_constant": ["device"]}},
    2: {"small": {"steps": ["Visit", "Purchase"], "conversion_order": "any"}},
}

MONTHS = (1, 2, 3, 4)
DEVICES, PLANS, COUNTRIES = ("phone", "desktop", "tablet"), ("free", "pro", "prö ✓", ""), ("DE", "NL", "US", "日本")
UNICODE_USER, LONG_USER = "Zoë 日本語 👩‍👩‍👧", "long-" + "x" * 507


def users():
    """240 ids: short ones over one alphabet, UUIDs in both cases, and odd ones."""
    rng = random.Random("users")
    def uuids(count):
        return [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]
    odd = [UNICODE_USER, LONG_USER, "0", "a b\tc\n", "user-0001 ", "USER-0001", "mail+tag@example.com", "ü" * 256, "\x7f\x01",
           uuids(1)[0].replace("-", ""), uuids(1)[0].capitalize() + "x", "-" * 36, "null", "12345678901234567890"]
    plain = [f"user-{n:04}" for n in range(120)]
    return plain[:100] + uuids(80) + odd + plain[100:] + [text.upper() for text in uuids(26)]


UUID_USER = users()[130]


def moment(rng, month, digits):
    """A time of the month with so many fraction digits of the second."""
    text = f"2024-{month:02}-{rng.randint(1, 28):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    return text + (f".{rng.randrange(10**digits):0{digits}}" if digits else "") + "Z"


def later(text, seconds, digits=0):
    """The time so many seconds later, with whole seconds or so many fraction digits of 1."""
    day, clock = int(text[8:10]), sum(int(text[at:at + 2]) * unit for at, unit in ((11, 3600), (14, 60), (17, 1)))
    days, clock = divmod(clock + seconds, 86_400)
    fraction = "." + "0" * (digits - 1) + "1" if digits else ""
    return f"{text[:8]}{min(day + days, 28):02}T{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}{fraction}Z"


def journey(rng, user, number):
    """What one user does in a month: some of the steps, with properties of every kind."""
    month, device = rng.choice(MONTHS), rng.choice(DEVICES)
    at = moment(rng, month, rng.choice((0, 0, 3, 6)))
    session = f"{rng.getrandbits(64):016x}"
    out = []

    def add(event, after, id="", digits=0, **properties):
        when = later(at, after, digits) if after else at
        out.append({"user_id": user, "event": event, "timestamp": when, "event_id": id,
                    "properties": {"device": device, "session": session, **properties}})

    add("Visit", 0, page=f"/p/{rng.randrange(40)}", referrer=rng.choice(("", "mail", "search")), variant=rng.choice(("control", "new")))
    if rng.random() < 0.4:
        add("Search", rng.randrange(1, 7_000), digits=3, text=rng.choice(("shoes", "hats, größe 7", "a\tb")), results=rng.randrange(-1, 300))
    if rng.random() < 0.5:
        add("Sign Up" if rng.random() < 0.8 else "Register", rng.randrange(1, 90_000), str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            plan=rng.choice(PLANS), newsletter=rng.random() < 0.5)
    if rng.random() < 0.15:
        add("Help", rng.randrange(1, 90_000), topic=rng.choice(("pay", "ship")))
    if rng.random() < 0.5:
        add("Add To Cart", rng.randrange(100, 200_000), f"cart-{number}", price=rng.randrange(100, 9_000) / 100, items=rng.randrange(1, 9),
            mixed=rng.choice(("1", 1, 1.5, True)))
    if rng.random() < 0.35:
        add("Purchase", rng.randrange(200, 400_000), f"{rng.getrandbits(96):024x}", 6, price=rng.randrange(100, 9_000) / 100,
            order=str(uuid.UUID(int=rng.getrandbits(128), version=4)), big=rng.choice(((1 << 63) - 1, -(1 << 63), 0)), rate=rng.random(),
            **{"ünïcode ✓": rng.choice(DEVICES)})
    if rng.random() < 0.25:
        add(rng.choice(("$identify", "$set")), 5, f"id ✓ {number}", country=rng.choice(COUNTRIES), age=rng.randrange(18, 90))
    return out


def chunk(number, journeys, known):
    """Events of so many journeys of the first `known` users."""
    rng = random.Random(f"chunk {number}")
    everyone = users()[:known]
    return [event for n in range(journeys) for event in journey(rng, rng.choice(everyone), f"{number}-{n}")]


def pings(count):
    """Rows without id or property, enough for a segment with more than one page of keys."""
    rng = random.Random("pings")
    everyone = users()[:100]
    return [{"user_id": rng.choice(everyone), "event": "Ping", "timestamp": moment(rng, 1, 0)} for _ in range(count)]


def corrected(events, count):
    """Some of the events with ids again, with other properties: the first copy stands."""
    known = [event for event in events if event.get("event_id")]
    return [{**event, "properties": {**event["properties"], "device": "corrected"}} for event in known[::max(1, len(known) // count)]][:count]


def wire(events):
    return [event_of_json(event) for event in events]
