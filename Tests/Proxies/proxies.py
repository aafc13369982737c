"""nginx and Caddy with the examples of `deploy` in front of a cluster: other names, ports and certificates, nothing else."""

import json
import os
import re
import shutil
import signal
import subprocess

from attempt import Authority, Connection, attempt, until
from services import Cluster, free_port

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
EVENTS, PAGES = "events.example.com", "sluice.example.com"
WRITE, READ = "a-write-key-of-the-test", "a-read-key-of-the-test"
KEYS = {"SLUICE_WRITE_KEYS": WRITE, "SLUICE_READ_KEYS": READ}


def replaced(text, *pairs):
    for old, new in pairs:
        assert old in text, f"the example does not contain {old}"
        text = text.replace(old, new)
    return text


class Program:
    def __init__(self, command, folder, environment=None):
        self.log = os.path.join(folder, "proxy.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(environment or {})})

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def nginx(folder, authority, port, cluster):
    with open(os.path.join(DEPLOY, "nginx.conf")) as file:
        text = file.read()
    text = replaced(
        text, ("user www-data;", f"daemon off;\npid {folder}/nginx.pid;"), ("/var/log/nginx/", folder + "/"), ("443", str(port)),
        ("/etc/ssl/sluice/cert.pem", authority.path("proxy.pem")), ("/etc/ssl/sluice/key.pem", authority.path("proxy.key")),
        ("127.0.0.1:8080", f"127.0.0.1:{cluster.ingest.http}"), ("127.0.0.1:8090", f"127.0.0.1:{cluster.coordinator.http}"))
    # By default these are folders of the system.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = text.replace("http {", "http {\n" + "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds), 1)
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(text)
    return Program([shutil.which("nginx") or "/usr/sbin/nginx", "-c", path, "-p", folder, "-e", os.path.join(folder, "start.log")], folder)


def caddy(folder, authority, port, cluster):
    with open(os.path.join(DEPLOY, "Caddyfile")) as file:
        text = file.read()
    certificate = f"\n\ttls {authority.path('proxy.pem')} {authority.path('proxy.key')}"
    text = replaced(
        text, ("auto_https disable_redirects", "admin off\n\tauto_https disable_redirects"),
        *((f"{name} {{", f"https://{name}:{port} {{{certificate}") for name in (EVENTS, PAGES)),
        ("127.0.0.1:8080", f"127.0.0.1:{cluster.ingest.http}"), ("127.0.0.1:8090", f"127.0.0.1:{cluster.coordinator.http}"))
    path = os.path.join(folder, "Caddyfile")
    with open(path, "w") as file:
        file.write(text)
    places = {name: folder for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return Program(["caddy", "run", "--config", path, "--adapter", "caddyfile"], folder, places)


def log(service):
    with open(service.log) as file:
        return file.read()


def events(user):
    return [{"user_id": user, "event": name, "timestamp": f"2026-01-01T00:0{at}:00Z"} for at, name in enumerate("ab")]


class Behind:
    """A cluster behind a proxy, and requests to it by either name."""

    def __init__(self, folder, start):
        self.authority, self.port = Authority(folder), free_port()
        self.authority.sign("proxy", EVENTS, PAGES)
        self.context = self.authority.client()
        trusted = ["--trusted-proxies", "127.0.0.1", "--log-level", "debug"]
        self.cluster = Cluster(
            folder, "cluster", shards=1, coordinator=trusted, ingest=trusted, of_coordinator={"environment": KEYS})
        try:
            self.proxy = start(folder, self.authority, self.port, self.cluster)
        except Exception:
            self.cluster.stop()
            raise

    def ready(self):
        for name in (EVENTS, PAGES):
            until("the proxy does not answer", lambda: self.ask(name, "GET", "/openapi.json")[0] == 200)

    def connect(self, name, source="127.0.0.1"):
        return Connection(self.port, name, source, self.context)

    def ask(self, name, method, path, body=None, key=None, source="127.0.0.1", **headers):
        connection = self.connect(name, source)
        fields = {field.replace("_", "-"): value for field, value in headers.items()}
        if key:
            fields["Authorization"] = "Bearer " + key
        try:
            return connection.ask(method, path, json.dumps(body) if body is not None else None, fields)
        finally:
            connection.close()

    def end(self):
        self.proxy.end()
        self.cluster.stop()


def users(behind):
    status, _, text = behind.ask(PAGES, "POST", "/v1/query", {"funnel": {"steps": ["a", "b"]}}, key=READ)
    assert status == 200, text
    return [step["count"] for step in json.loads(text)["steps"]]


def addresses(service):
    return set(re.findall(r"address=(\S+)", log(service)))


def check_events_and_addresses(behind):
    status, _, text = behind.ask(EVENTS, "POST", "/v1/events", events("u1"), key=WRITE, source="127.0.0.2")
    assert status == 200 and json.loads(text)["accepted"] == 2, text
    # More than the path of short requests takes, with the caller's own claim about its address.
    many = [event for number in range(2_000) for event in events(f"many{number}")]
    status, _, text = behind.ask(EVENTS, "POST", "/v1/events", many, key=WRITE, source="127.0.0.3", X_Forwarded_For="203.0.113.9")
    assert status == 200 and json.loads(text)["accepted"] == 4_000, text
    assert users(behind) == [2_001, 2_001]
    ingest = behind.cluster.ingest
    until("ingest does not log the callers' addresses", lambda: {"127.0.0.2", "127.0.0.3"} <= addresses(ingest))
    # Past the proxy, from an address that is not trusted, the header says nothing.
    direct = Connection(ingest.http, "127.0.0.1", "127.0.0.4")
    status, _, text = direct.ask(
        "POST", "/v1/events", json.dumps(events("u2")), {"Authorization": "Bearer " + WRITE, "X-Forwarded-For": "203.0.113.9"})
    direct.close()
    assert status == 200, text
    until("ingest does not log the address of a direct caller", lambda: "127.0.0.4" in addresses(ingest))
    assert "203.0.113.9" not in addresses(ingest)


def check_wrong_keys(behind):
    statuses = [behind.ask(EVENTS, "POST", "/v1/events", [], key=f"guess {number}", source="127.0.0.5")[0] for number in range(30)]
    assert set(statuses[:10]) == {401} and 429 in statuses, statuses
    # Another caller behind the same proxy is not slowed.
    status, _, _ = behind.ask(EVENTS, "POST", "/v1/events", [], key="a guess", source="127.0.0.6")
    assert status == 401, status


def check_sessions(behind):
    status, headers, text = behind.ask(PAGES, "POST", "/v1/session", {"key": READ}, Sec_Fetch_Site="same-origin")
    assert status == 200 and "Secure" in headers["Set-Cookie"], (status, text, headers["Set-Cookie"])
    assert headers["Strict-Transport-Security"] == "max-age=31536000", headers
    direct = Connection(behind.cluster.coordinator.http, "localhost", "127.0.0.4")
    status, headers, text = direct.ask("POST", "/v1/session", json.dumps({"key": READ}), {"X-Forwarded-Proto": "https"})
    direct.close()
    assert status == 200 and "Secure" not in headers["Set-Cookie"], (status, text, headers["Set-Cookie"])
    assert headers["Strict-Transport-Security"] is None, headers


def check_live_stream(behind):
    connection = behind.connect(PAGES)
    connection.request("POST", "/v1/live", json.dumps({"funnel": {"steps": ["a", "b"]}}), {"Authorization": "Bearer " + READ})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream"), answer.headers

    def reports():
        while True:
            line = answer.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data:") and b'"steps"' in line:
                yield json.loads(line[5:])["steps"][1]["count"]

    stream = reports()
    first = next(stream)
    assert behind.ask(EVENTS, "POST", "/v1/events", events("live"), key=WRITE)[0] == 200
    # The socket's own timeout ends a stream that the proxy holds back.
    assert any(count == first + 1 for count in stream)
    connection.close()


def check_private_paths(behind):
    for name in (EVENTS, PAGES):
        for path in ("/metrics", "/healthz", "/readyz", "/readyz/"):
            status, _, _ = behind.ask(name, "GET", path)
            assert status == 404, (name, path, status)


def check_an_ingest_that_is_away(behind):
    behind.cluster.ingest.stop()
    status, headers, text = behind.ask(EVENTS, "POST", "/v1/events", events("away"), key=WRITE)
    assert status == 503 and headers["Retry-After"] == "1" and headers["Content-Type"].startswith("application/json"), (status, headers)
    assert json.loads(text)["code"] == 503, text
    behind.cluster.ingest.start()
    behind.cluster.ingest.until(200)
    until("events are not taken again", lambda: behind.ask(EVENTS, "POST", "/v1/events", events("back"), key=WRITE)[0] == 200)


def run(folder, start):
    behind = Behind(folder, start)
    try:
        behind.ready()
        for check in (
            check_events_and_addresses, check_wrong_keys, check_sessions, check_live_stream, check_private_paths, check_an_ingest_that_is_away,
        ):
            check(behind)
            print(f"        {check.__name__}", flush=True)
    except Exception:
        with open(behind.proxy.log, errors="replace") as file:
            print(file.read()[-3_000:])
        raise
    finally:
        behind.end()


@attempt
def behind_nginx(folder):
    run(folder, nginx)


@attempt
def behind_caddy(folder):
    run(folder, caddy)
