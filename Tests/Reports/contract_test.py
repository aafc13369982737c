"""Every operation of Protocol/openapi.yaml and openapi-sdks.yaml, asked of a real cluster: with the right key, without, with a wrong
one, with faults.

    Tests/Reports/python.sh Tests/Reports/contract_test.py --programs .build/release

Each answer is validated against the document. An operation that is documented and has no request here fails, and so does one that
its service does not know. Then members of the answers are added, left out and changed: the document must notice each change.
Takes about 20 seconds. Exit status 0 where all is well.
"""

import argparse
import base64
import gzip
import http.client
import json
import os
import signal
import sys
import tempfile
import time
import urllib.parse

from cluster import Cluster, exchange
from contract import Contract
from contract_changes import shortened, strictness
from contract_requests import (
    AVRO, BY_URL, FAULTS, FORM, FUNNEL, GOOD, IN_URL, KEYS, LINES, MORE, OTHER, SDK_MORE, STEPS, query, story)


def sdk_request(keys, kind, example, key):
    """Body and headers of an SDK's request, with the key in the first place that is in the head, or else in the body."""
    headers = {"content-type": kind}
    place = next((place for place in keys if place in ("bearer", "basic")), None)
    if key and place == "bearer":
        headers["authorization"] = f"Bearer {key}"
    elif key and place == "basic":
        headers["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    elif key:
        example = {**example, keys[0].removeprefix("body "): key}
    if kind == FORM:
        return ("data=" + urllib.parse.quote(json.dumps(example))).encode(), headers
    if kind == LINES:
        return "\n".join(map(json.dumps, example)).encode(), headers
    return example, headers


def state_of(pid):
    """The state of a process, such as T for stopped."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


class Run:
    def __init__(self, contract, cluster):
        self.contract, self.cluster = contract, cluster
        self.failed, self.asked = 0, 0
        self.kept = {}
        self.addresses = {name: cluster.info[name]["http"] for name in ("ingest", "coordinator")}
        self.addresses["shard"] = cluster.info["shards"][0]["http"]

    def fail(self, text):
        self.failed += 1
        print(f"FAILED {text}", flush=True)

    def ask(self, service, method, path, expected, body=None, key=None, headers=None, validate=True):
        """One request. The answer is validated, and must have the status, or one of several, and the request's id."""
        self.asked += 1
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"x-request-id": f"contract-{self.asked}", **(headers or {})}
        if key:
            sent["authorization"] = f"Bearer {key}"
        send = stream if path == "/v1/live" else exchange
        status, received, text = send(self.addresses[service], method, path, data, sent)
        asked = body if isinstance(body, (dict, list)) else None
        faults = self.contract.check(service, method, path, status, received, text, asked) if validate else []
        if faults:
            self.failed += 1
        elif status not in (expected if isinstance(expected, tuple) else (expected,)):
            self.fail(f"{service} {method} {path}: status {status}, expected {expected}: {text:.200}")
        if received.get("x-request-id") != sent["x-request-id"]:
            self.fail(f"{service} {method} {path}: X-Request-Id {received.get('x-request-id')}, sent {sent['x-request-id']}")
        self.keep(service, method, path, status, received, text)
        return status, received, text

    def keep(self, service, method, path, status, headers, text):
        """JSON answers, of which fields are changed later."""
        if text and "json" in headers.get("content-type") and "x-ndjson" not in headers.get("content-type") and path != "/openapi.json":
            self.kept[service, method, path, status, len(self.kept)] = (headers, shortened(json.loads(text)))

    def operations(self):
        """Every operation of the document, in the order of GOOD."""
        known = {operation.id: operation for operation in self.contract.operations if operation.keys() is None}
        for name in known.keys() - GOOD.keys():
            self.fail(f"{known[name].name}: documented, and there is no request for it in GOOD")
        for name in GOOD.keys() - known.keys():
            self.fail(f"{name}: asked for in GOOD, and not in the document")
        for name, (path, body, status) in GOOD.items():
            if name in known:
                path = path(self) if callable(path) else path
                for service in known[name].services:
                    self.operation(known[name], service, path, body, status)

    def operation(self, operation, service, path, body, status):
        roles = operation.roles()
        key = KEYS[min(roles)] if roles else None
        if roles:
            self.ask(service, operation.method, path, 401, body)
            self.ask(service, operation.method, path, 403, body, KEYS[OTHER[min(roles)]])
        self.ask(service, operation.method, path, status, body, key)
        if operation.method == "GET":
            _, _, text = self.ask(service, "HEAD", path, status, key=key, validate=False)
            if text:
                self.fail(f"HEAD {path}: a body")

    def sdks(self):
        """Every operation of SDKs, with the examples of the document: without an API key, with one of another role, with the right one."""
        for operation in self.contract.operations:
            keys, path = operation.keys(), operation.path.replace("{key}", "any")
            if keys is None:
                continue
            if not keys:
                self.ask("ingest", operation.method, path, 200)
                continue
            # Amplitude's SDKs do not look at 401. Without a key, a call with `event` is a recording that is dropped.
            refused = {"/2/httpapi": 400, "/batch": (400, 401)}.get(path, 401)
            unknown = 200 if path == "/s" else refused
            given = ((None, unknown), (KEYS["read"], refused), (KEYS["write"], 200))
            if operation.method == "GET":
                for key, status in given:
                    self.ask("ingest", "GET", IN_URL[path](key), status)
                continue
            requests = [(kind, example) for kind, example in operation.examples()]
            if not requests:
                self.fail(f"{operation.name}: the document has no example of its body")
            for kind in (FORM, LINES):
                if kind in operation.body["requestBody"]["content"]:
                    requests.append((kind, requests[0][1]))
            for kind, example in requests:
                for key, status in given:
                    body, headers = sdk_request(keys, kind, example, key)
                    self.ask("ingest", "POST", path, status, body, headers=headers)
            _, headers = sdk_request(keys, requests[0][0], {}, KEYS["write"])
            self.ask("ingest", "POST", path, 400, b"{", headers=headers)
            self.ask("ingest", "POST", path, (400, 415), b"{", headers={**headers, "content-encoding": "br"})
        for method, path, body, status in SDK_MORE:
            _, headers = sdk_request(["basic"], "application/json", {}, KEYS["write"])
            self.ask("ingest", method, path, status, body, headers=headers)

    def cloud_events(self):
        """Those that come to the path of native events."""
        example = self.contract.document["components"]["schemas"]["CloudEvent"]["examples"][0]
        one, many = ({"content-type": f"application/cloudevents{kind}+json"} for kind in ("", "-batch"))
        for key, status in ((None, 401), (KEYS["read"], 401), (KEYS["write"], 200)):
            self.ask("ingest", "POST", "/v1/events", status, json.dumps(example).encode(), key, one)
        for body, headers, status in (
            (json.dumps([example, {}]).encode(), many, 200), (b"[{", many, 400), (b"", AVRO, 415),
            (b"{}", {**one, "content-encoding": "br"}, 415), (b"{}", {**one, "content-length": str((64 << 20) + 1)}, 413),
        ):
            self.ask("ingest", "POST", "/v1/events", status, body, KEYS["write"], headers)

    def more(self):
        """What depends on state, and reports of all kinds."""
        read, write, admin = KEYS["read"], KEYS["write"], KEYS["admin"]
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 201, FUNNEL, admin)
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 200, FUNNEL, admin)
        self.ask("coordinator", "GET", "/funnel-performance?funnel_id=rich&allow_partial=1&time_zone=Asia/Tokyo", 200, key=read)
        for path, body in MORE:
            self.ask("coordinator", "POST", path, 200, body, read)
        for path in BY_URL:
            self.ask("coordinator", "GET", f"/v1/funnels/rich/{path}", 200, key=read)
        self.ask("coordinator", "GET", "/v1/properties", 200, key=read)
        lines = "\n".join(json.dumps(entry) for entry in story()[:3]).encode() + b"\nno event\n"
        kinds = ("application/x-ndjson", "application/ndjson", "application/jsonl")
        for kind in kinds:
            self.ask("ingest", "POST", "/v1/events", 200, lines, write, {"content-type": kind, "idempotency-key": "lines"})
        self.ask("ingest", "POST", "/v1/events", 200, gzip.compress(b'{"events":[]}'), write, {"content-encoding": "gzip"})
        _, headers, _ = self.ask("coordinator", "GET", "/", 200)
        self.ask("coordinator", "GET", "/", 304, headers={"if-none-match": headers["etag"]})
        _, headers, _ = self.ask("coordinator", "POST", "/v1/session", 200, {"key": read})
        cookie = {"cookie": headers["set-cookie"].partition(";")[0]}
        self.ask("coordinator", "GET", "/v1/session", 200, headers=cookie)
        _, _, text = self.ask("coordinator", "GET", "/v1/status", 200, headers=cookie)
        if not cookie["cookie"].startswith(f"sluice_session_{json.loads(text).get('cluster_id')}="):
            self.fail(f"the cookie is not named by the cluster's id: {cookie['cookie']:.40}")

    def faults(self):
        for service, method, path, body, headers, status in FAULTS:
            operation = self.contract.operation(service, method, path)
            roles = operation.roles()
            self.ask(service, method, path, status, body, KEYS[min(roles)] if roles else None, headers)
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 200, {**FUNNEL, "default": False}, KEYS["admin"])
        self.ask("coordinator", "PUT", "/v1/funnels/other", 201, STEPS, KEYS["admin"])
        self.ask("coordinator", "GET", "/funnel-performance", 409, key=KEYS["read"])
        self.ask("coordinator", "GET", "/v1/rules?project=4000000000", 404, key=KEYS["admin"])
        self.ask("coordinator", "GET", "/v1/rules?project=all", 422, key=KEYS["admin"])
        self.ask("coordinator", "GET", "/no-such-path", 404)
        for operation in self.contract.operations:
            if "coordinator" not in operation.services or operation.method != "GET" or operation.path == "/v1/session":
                continue
            _, headers, _ = self.ask("coordinator", "PATCH", GOOD[operation.id][0], 405)
            if "GET" not in headers.get("allow", ""):
                self.fail(f"PATCH {operation.path}: Allow is {headers.get('allow')}")

    def outage(self):
        """One shard hangs, then both."""
        pids, events = self.cluster.info["pids"], story()
        ask, read, write = self.ask, KEYS["read"], KEYS["write"]
        try:
            os.kill(pids["shard-1"], signal.SIGSTOP)
            while state_of(pids["shard-1"]) != "T":  # kill does not wait for the stop
                time.sleep(0.001)
            ask("coordinator", "POST", "/v1/query", 504, query(deadline="50ms"), read)
            self.wait("ingest", 200, "shard-1")
            self.wait("coordinator", 200, "shard-1")
            status, _, text = ask("ingest", "POST", "/v1/events", 503, events, write)
            if status == 503 and not json.loads(text).get("retry"):
                self.fail(f"no events to retry while a shard hangs: {text:.200}")
            ask("ingest", "POST", "/v1/events", 503, events, write, {"idempotency-key": "outage"})
            self.partly_stored()
            ask("coordinator", "POST", "/v1/query", 503, query(), read)
            ask("coordinator", "POST", "/v1/query", 200, query(allow_partial=True), read)
            ask("coordinator", "POST", "/v1/query/users", 200, query(step=1, allow_partial=True), read)
            ask("coordinator", "GET", "/v1/events?allow_partial=true", 200, key=read)
            ask("coordinator", "GET", "/v1/status", 200, key=read)
            os.kill(pids["shard-0"], signal.SIGSTOP)
            self.wait("ingest", 503, "shard-0")
            self.wait("coordinator", 503, "shard-0")
            ask("ingest", "POST", "/track-event", 503, events[0], write)
            ask("ingest", "POST", "/v1/events", 503, events, write)
            self.sdk_outage()
        finally:
            for shard in ("shard-0", "shard-1"):
                os.kill(pids[shard], signal.SIGCONT)

    def partly_stored(self):
        """SDKs whose answer names the events that they must send again, while one shard hangs."""
        users, write = [f"part-{i:02}" for i in range(40)], KEYS["write"]
        amplitude = {"api_key": write, "events": [{"event_type": "Signup", "user_id": user, "insert_id": user} for user in users]}
        posthog = {"api_key": write, "batch": [{"event": "Signup", "distinct_id": user, "uuid": user} for user in users]}
        cloud = [{"specversion": "1.0", "id": user, "source": "/shop", "type": "Signup", "userid": user} for user in users]
        self.ask("ingest", "POST", "/2/httpapi", 429, amplitude)
        _, _, text = self.ask("ingest", "POST", "/i/v1/analytics/events", 200, posthog)
        if '"retry"' not in text:
            self.fail(f"no event to retry while a shard hangs: {text:.200}")
        headers = {"content-type": "application/cloudevents-batch+json"}
        self.ask("ingest", "POST", "/v1/events", 503, json.dumps(cloud).encode(), write, headers)

    def sdk_outage(self):
        """One request to each group of paths while no shard answers."""
        seen = set()
        for operation in self.contract.operations:
            if not operation.keys() or operation.method != "POST" or operation.pointer in seen:
                continue
            seen.add(operation.pointer)
            kind, example = next(operation.examples())
            body, headers = sdk_request(operation.keys(), kind, example, KEYS["write"])
            self.ask("ingest", "POST", operation.path, 503, body, headers=headers)

    def wait(self, service, status, name):
        """Until /readyz has the status, and names a shard."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found, headers, text = exchange(self.addresses[service], "GET", "/readyz")
            if found == status and name in text:
                self.contract.check(service, "GET", "/readyz", found, headers, text)
                return
            time.sleep(0.1)
        self.fail(f"/readyz of {service} is not {status} with {name}: {found} {text}")

    def guesses(self):
        """Wrong keys, until the service wants a pause: ten at once, and one more a second on a slow machine."""
        for service, method, path in (("ingest", "POST", "/v1/events"), ("coordinator", "GET", "/v1/status")):
            keys = (f"wrong-key-number-{i:03}" for i in range(100))
            if all(self.ask(service, method, path, (401, 429), key=key)[0] != 429 for key in keys):
                self.fail(f"{service}: no 429 after a hundred wrong keys")


def stream(address, method, path, body, headers):
    """As `exchange`, of a stream its first event alone."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        if response.headers.get("content-type") != "text/event-stream":
            return response.status, response.headers, response.read().decode()
        text = b""
        while not text.endswith(b"\n\n"):
            text += response.readline()
        return response.status, response.headers, text.decode()
    finally:
        connection.close()


def examples(run):
    """Examples of the document are valid by it."""
    for name, schema in run.contract.document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            for fault in run.contract.errors(f"#/components/schemas/{name}", example):
                run.fail(f"example of {name}: {fault}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=os.environ.get("SLUICE_PROGRAMS", ".build/release"))
    given = parser.parse_args()
    began, contract = time.monotonic(), Contract()
    if contract.document is None:
        raise SystemExit(contract.summary())
    keys = {f"SLUICE_{role.upper()}_KEYS": key for role, key in KEYS.items()}
    with tempfile.TemporaryDirectory(prefix="sluice-contract-") as directory:
        with Cluster(given.programs, directory, environment=keys) as cluster:
            run = Run(contract, cluster)
            for part in (run.operations, run.more, run.sdks, run.cloud_events, run.faults, run.outage, run.guesses):
                part()
    for name in contract.unseen():
        run.fail(f"{name}: no validated answer")
    examples(run)
    noticed = strictness(run)
    print(contract.summary())
    print(f"{run.asked} requests, {noticed:,} changes noticed, {run.failed} failed; {time.monotonic() - began:.0f} s")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
