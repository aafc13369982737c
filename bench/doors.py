"""What ingest takes over HTTP/1.1: native events and the bodies of each SDK, and what many connections cost.

wrk sends on one thread. Each connection sends its next request once the last is answered. Ingest, two shards and the coordinator
run on the same cores. Every event has an id of its own (doors.lua). What was answered is compared with what
is stored.
"""

import base64
import contextlib
import datetime
import http.client
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import threading
import time

from cluster import Cluster, anonymous_bytes
from small import TICKS, cpu

CONNECTIONS = (1, 100, 1000)
MANY = 1000
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "doors.lua")
# Of the callers that are measured, and of the honest caller, which has another project.
KEY, HONEST_KEY = "the-write-key-of-the-many-callers", "the-write-key-of-the-honest-caller"
KEYS = {"SLUICE_WRITE_KEYS": f"{KEY},2:{HONEST_KEY}"}
# Where doors.lua puts an id and a user.
ID, USER = "@ID@", "@USER@"
NAMES = ("view", "cart", "search", "signup", "paid")
PROPERTIES = {"page": "/products/shoes", "n": 3, "plan": "pro", "price": 49.9, "country": "de", "is_new": False}
# Until wrk counts a request as broken: seconds.
PATIENCE = 30
# From an answer to the honest caller's next request: seconds.
PAUSE = 0.02


class Form:
    """A request with a number of events, as a sender of its kind makes it."""

    def __init__(self, name, path, events, body, headers=(), packed=False):
        self.label, self.path, self.events, self.packed = f"{name} x {events:,}", path, events, packed
        text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        self.body = text.encode().replace(ID.encode(), b"\1").replace(USER.encode(), b"\2")
        self.headers = dict(headers)
        if packed:
            self.headers["Content-Encoding"] = "gzip"


def forms():
    """All forms, with the key where the SDK has it."""
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    text, milliseconds = now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), int(now.timestamp() * 1000)
    as_json = {"Content-Type": "application/json"}
    bearer = {"Authorization": f"Bearer {KEY}"}
    basic = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}

    def many(make, events=50):
        return [make(NAMES[i % len(NAMES)]) for i in range(events)]

    def native(name):
        return {"user_id": USER, "event": name, "timestamp": text, "event_id": ID, "properties": PROPERTIES}

    def lines(events):
        body = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in many(native, events))
        return Form("native NDJSON", "/v1/events", events, body, bearer | {"Content-Type": "application/x-ndjson"})

    segment = {"batch": many(lambda name: {
        "type": "track", "userId": USER, "event": name, "messageId": ID, "timestamp": text, "properties": PROPERTIES,
        "context": {"library": {"name": "analytics-python", "version": "2.3.3"}}}), "sentAt": text}
    posthog = {"api_key": KEY, "batch": many(lambda name: {
        "event": name, "distinct_id": USER, "uuid": ID, "timestamp": text, "properties": PROPERTIES | {"$lib": "posthog-python"}})}
    mixpanel = many(lambda name: {
        "event": name, "properties": {"distinct_id": USER, "time": milliseconds, "$insert_id": ID} | PROPERTIES})
    amplitude = {"api_key": KEY, "events": many(lambda name: {
        "event_type": name, "user_id": USER, "insert_id": ID, "time": milliseconds, "platform": "Web",
        "event_properties": PROPERTIES})}
    snowplow = {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": many(lambda name: {
        "e": "se", "se_ca": "shop", "se_ac": name, "se_la": "shoes", "se_va": "49.9", "uid": USER, "eid": ID, "aid": KEY,
        "dtm": str(milliseconds), "url": "https://shop.example/products/shoes", "p": "web", "tv": "py-1.0.3"})}
    cloud = many(lambda name: {
        "specversion": "1.0", "id": ID, "source": "/shop", "type": name, "time": text, "userid": USER,
        "datacontenttype": "application/json", "data": PROPERTIES})
    return [
        lines(1), lines(50), lines(1000),
        Form("native JSON", "/v1/events", 50, many(native), bearer | as_json),
        Form("Segment batch", "/v1/batch", 50, segment, basic | as_json),
        Form("PostHog batch", "/batch/", 50, posthog, as_json),
        Form("PostHog batch, gzip", "/batch/", 50, posthog, as_json, packed=True),
        Form("Mixpanel import", "/import?strict=1", 50, mixpanel, basic | as_json),
        Form("Amplitude 2/httpapi", "/2/httpapi", 50, amplitude, as_json),
        Form("Snowplow tp2", "/com.snowplowanalytics.snowplow/tp2", 50, snowplow, as_json),
        Form("CloudEvents batch", "/v1/events", 50, cloud, bearer | {"Content-Type": "application/cloudevents-batch+json"}),
    ]


class Sender:
    """wrk over one form; it runs from the beginning of `with`, and is ended with it."""

    # Each run over one cluster needs ids of its own.
    runs = 0

    def __init__(self, bench, running, form, connections, seconds, mean_pause_ms=None):
        Sender.runs += 1
        body = os.path.join(bench.work, "doors-body")
        with open(body, "wb") as file:
            file.write(form.body)
        self.seconds = seconds
        self.command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", f"{PATIENCE}s", "-s", SCRIPT]
        for name, value in form.headers.items():
            self.command += ["-H", f"{name}: {value}"]
        self.command += [f"http://{running.ingest_http}{form.path}", "--", body, str(Sender.runs), "gzip" if form.packed else "plain"]
        if mean_pause_ms:
            self.command.append(str(mean_pause_ms))

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()

    def result(self):
        """What wrk has counted, once it ends."""
        try:
            out = self.process.communicate(timeout=self.seconds + 60)[0]
        except subprocess.TimeoutExpired:
            raise SystemExit(f"wrk did not end within a minute after its time: {' '.join(self.command)}")
        found = re.search(r"^RESULT (.*)$", out, re.MULTILINE)
        if self.process.returncode or not found:
            raise SystemExit(f"wrk failed with {self.process.returncode}: {out[:1000]}")
        return json.loads(found.group(1))


def stored_rows(running):
    """Rows of all shards, once requests that were on their way are through."""
    end, rows = time.monotonic() + 10, running.state()["rows"]
    while time.monotonic() < end:
        time.sleep(0.1)
        before, rows = rows, running.state()["rows"]
        if before == rows:
            break
    return rows


def once(bench, running, form, connections, seconds):
    """One form from a number of connections."""
    if form.events * connections >= 1_000_000:
        seconds *= 6  # or only the first requests would be answered
    ingest = running.info["pids"]["ingest"]
    stored, used = stored_rows(running), cpu([ingest])
    with Sender(bench, running, form, connections, seconds) as sender:
        result = sender.result()
    used = cpu([ingest]) - used
    stored = stored_rows(running) - stored
    answered = result["requests"] - result["refused"]
    # Requests that were refused, or on their way when the time was over, may be stored in part.
    unknown = result["refused"] + result["broken"] + connections
    if not answered * form.events <= stored <= (answered + unknown) * form.events:
        raise SystemExit(
            f"{form.label}, {connections} connections: {answered} requests of {form.events} events answered, {stored} stored: {result}")
    rate = answered / result["seconds"]
    return {
        "requests_s": rate, "events_s": rate * form.events, "events_cpu_s": answered * form.events / max(used, 1 / TICKS),
        "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"], "refused": result["refused"], "broken": result["broken"],
    }


class Idle:
    """Connections that have sent one request each, and are silent since then."""

    def __init__(self, address, count):
        host, port = address.rsplit(":", 1)
        self.address, self.count, self.sockets = (host, int(port)), count, []

    def __enter__(self):
        try:
            for _ in range(self.count):
                one = socket.create_connection(self.address, timeout=10)
                self.sockets.append(one)
                one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if not one.recv(4096).startswith(b"HTTP/1.1 200"):
                    raise OSError("ingest did not answer /healthz with 200")
        except OSError as error:
            self.__exit__()
            raise SystemExit(f"idle connection {len(self.sockets)}: {error}")
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()

    def open(self):
        """How many the server has not closed."""
        still = 0
        for one in self.sockets:
            one.setblocking(False)
            try:
                still += bool(one.recv(4096, socket.MSG_PEEK))
            except BlockingIOError:
                still += 1
            except OSError:
                pass
        return still


class Peak(threading.Thread):
    """The anonymous resident memory of a process: its maximum over some time."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.bytes, self.ended = pid, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            try:
                self.bytes = max(self.bytes, anonymous_bytes(self.pid))
            except OSError:
                return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(5)


def honest(running, form, seconds, run):
    """Milliseconds of each request of one caller, who waits for every answer; ends the run if one is not answered with 200."""
    connection = http.client.HTTPConnection(*running.ingest_http.rsplit(":", 1), timeout=30)
    headers = form.headers | {"Authorization": f"Bearer {HONEST_KEY}"}
    found, end, pieces = [], time.monotonic() + seconds, form.body.split(b"\1")
    try:
        while time.monotonic() < end:
            number = len(found)
            body = pieces[0] + b"".join(b"honest-%d-%d-%d" % (run, number, i) + piece for i, piece in enumerate(pieces[1:]))
            time.sleep(PAUSE)
            began = time.perf_counter()
            connection.request("POST", form.path, body.replace(b"\2", b"honest"), headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise SystemExit(f"the honest caller got {response.status}: {text[:300]}")
            found.append((time.perf_counter() - began) * 1000)
    except OSError as error:
        raise SystemExit(f"the honest caller: {error!r}")
    finally:
        connection.close()
    return sorted(found)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def beside(bench, running, form, rate, seconds):
    """One honest caller alone, beside idle connections, and beside busy ones: p99, and the memory of ingest.

    `rate` is how many requests a second all busy connections together get answered when each sends at once again.
    """
    ingest = running.info["pids"]["ingest"]
    rows, runs = [], iter(range(100))

    def stage(name, idle, pause=None, busy=False):
        """`busy`: as fast as they are answered, or each with this mean pause."""
        bench.say(f"doors: an honest caller {name}")
        row = {"name": name}
        with Idle(running.ingest_http, idle) as silent, Peak(ingest) as peak:
            if busy:
                # The caller is measured while all others send, not while they connect.
                with Sender(bench, running, form, MANY, int(seconds) + 3, pause) as sender:
                    time.sleep(1.5)
                    times = honest(running, form, seconds, next(runs))
                    result = sender.result()
                row |= {"requests_s": (result["requests"] - result["refused"]) / result["seconds"]}
                row |= {"refused": result["refused"], "broken": result["broken"]}
            else:
                times = honest(running, form, seconds, next(runs))
            row["idle_open"] = silent.open()
        row |= {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), "n": len(times), "bytes": peak.bytes}
        rows.append(row)
        return row

    honest(running, form, 1, next(runs))
    alone = stage("alone", 0)
    stage("beside 1,000 idle connections", MANY)
    stage("beside 1,000 idle and 1,000 busy ones, half rate", MANY, MANY / (rate / 2) * 1000, busy=True)
    stage("beside 1,000 idle and 1,000 busy ones, full rate", MANY, busy=True)
    for row in rows:
        row["ratio"] = row["p99_ms"] / alone["p99_ms"]
        row["cost_bytes"] = row["bytes"] - alone["bytes"]
    return rows


@contextlib.contextmanager
def fresh_cluster(bench, name):
    """A cluster with keys over an empty directory, which goes away with it."""
    running = Cluster(bench.programs, os.path.join(bench.work, name), environment=KEYS)
    try:
        with running:
            yield running
    finally:
        shutil.rmtree(running.data, ignore_errors=True)


def measure(bench):
    """{"forms": {name: {connections: runs}}, "beside": [stages of each round]}; None where wrk is not installed."""
    if not shutil.which("wrk"):
        bench.say("doors: wrk is not installed (package wrk)")
        return None
    seconds = bench.options.doors_seconds
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MANY
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    all_forms = forms()
    found = {"forms": {}, "beside": []}
    for round_number in range(bench.rounds):
        for place, form in enumerate(all_forms):
            # A cluster for each form: what an earlier form has stored must not cost a later one.
            with fresh_cluster(bench, f"doors-{round_number}-{place}") as running:
                for count in CONNECTIONS:
                    result = once(bench, running, form, count, seconds)
                    found["forms"].setdefault(form.label, {}).setdefault(count, []).append(result)
                    bench.say(f"doors: {form.label}, {count} connections, round {round_number + 1}: {result['events_s']:,.0f} events/s")
        with fresh_cluster(bench, f"doors-{round_number}-beside") as running:
            native = next(form for form in all_forms if form.events == 50)
            rate = found["forms"][native.label][MANY][-1]["requests_s"]
            found["beside"].append(beside(bench, running, native, max(rate, 1), max(5, 2 * seconds)))
    return found
