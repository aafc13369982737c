"""Certificates that change while clients send and ask, and services that are what their certificate says."""

import json
import os
import signal
import subprocess
import threading
import time

from attempt import Authority, Connection, attempt, s_client, shown, until
from services import PROGRAMS, SECRET, Cluster, Service, free_port

TLS = {"of_coordinator": {"tls": True}, "of_shards": {"tls": True}, "of_ingest": {"tls": True}}


class Load:
    """Requests on new and on kept connections until it ends; `failures` has every one that did not get status 200."""

    def __init__(self, cluster, context):
        self.cluster, self.context = cluster, context
        self.is_over = threading.Event()
        self.lock, self.failures, self.sent, self.asked, self.number = threading.Lock(), [], 0, 0, 0
        self.threads = [
            threading.Thread(target=self._run, args=(body, is_kept), daemon=True)
            for body in (self._send, self._ask) for is_kept in (False, True)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, body, is_kept):
        service = self.cluster.ingest if body == self._send else self.cluster.coordinator
        connection = None
        while not self.is_over.is_set():
            try:
                if connection is None:
                    connection = Connection(service.http, "127.0.0.1", context=self.context)
                    connection.connect()
                # A kept connection that ends is an error here, not a reason to open another one.
                elif connection.sock is None:
                    raise RuntimeError("the server closed a kept connection")
                body(connection)
                is_failed = False
            except Exception as error:  # noqa: BLE001
                is_failed = True
                with self.lock:
                    self.failures.append(f"{body.__name__} {'kept' if is_kept else 'new'}: {error!r}")
            if is_failed or not is_kept:
                connection.close()
                connection = None
            time.sleep(0.005)

    @staticmethod
    def _call(connection, path, document):
        status, _, text = connection.ask("POST", path, json.dumps(document), {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"status {status}: {text[:300]}")
        return json.loads(text)

    def _send(self, connection):
        with self.lock:
            self.number += 1
            user = f"u{self.number}"
        events = [
            {"user_id": user, "event": name, "timestamp": f"2026-01-01T00:0{at}:00Z", "event_id": user + name} for at, name in enumerate("ab")
        ]
        answer = self._call(connection, "/v1/events", events)
        if answer["accepted"] != 2:
            raise RuntimeError(f"{answer}")
        with self.lock:
            self.sent += 1

    def _ask(self, connection):
        self._call(connection, "/v1/query", {"funnel": {"steps": ["a", "b"]}})
        with self.lock:
            self.asked += 1

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)

    def moves(self):
        """Waits until each kind of request was answered some more times."""
        with self.lock:
            sent, asked = self.sent, self.asked
        until("requests are not answered any more", lambda: self.sent > sent + 10 and self.asked > asked + 10)


def metric(service, name):
    for line in (service.metrics() or "").splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return None


def log(service):
    with open(service.log) as file:
        return file.read()


@attempt
def certificates_change_under_load(folder):
    authority = Authority(folder)
    for name in ("used", "one", "two", "good", "mixed"):
        authority.sign(name)
    authority.sign("old", days=-1)
    cluster = Cluster(folder, "cluster", shards=1, environment=authority.settings("used"), **TLS)
    load = None
    try:
        ports = [port for service in cluster.all for port in (service.http, service.wire)]

        def all_show(name):
            return until(f"a port does not show the certificate {name}", lambda: all(shown(port) == name for port in ports))

        all_show("used")
        load = Load(cluster, authority.client())
        # Files that change by themselves, and files with a signal.
        for name, is_signalled in [("one", False), ("two", True), ("one", True), ("good", False)]:
            load.moves()
            authority.replace("used", name)
            for service in cluster.all if is_signalled else []:
                service.kill(signal.SIGHUP)
            all_show(name)
        # Pairs that can't be used: a key of another certificate, a certificate that has ended, half a file.
        for name, endings, reason in [("mixed", ["key"], "does not belong"), ("old", ["pem", "key"], "has expired"), (None, [], "")]:
            load.moves()
            if name:
                authority.replace("used", name, endings)
            else:
                with open(authority.path("used.pem"), "r+b") as file:
                    file.truncate(100)
            for service in cluster.all:
                until(f"{service.name} does not report the bad files", lambda: metric(service, "sluice_tls_reload_failed") == 1)
                until(f"{service.name} does not say why", lambda: reason in log(service))
            all_show("good")
        authority.replace("used", "two")
        all_show("two")
        end = subprocess.run(
            ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", authority.path("two.pem")],
            capture_output=True, text=True).stdout
        for service in cluster.all:
            until(f"{service.name} still reports a fault", lambda: metric(service, "sluice_tls_reload_failed") == 0)
            expiry = metric(service, "sluice_certificate_expiry_timestamp_seconds")
            shown_end = subprocess.run(
                ["date", "-u", "-d", f"@{int(expiry)}", "+%Y-%m-%d %H:%M:%SZ"], capture_output=True, text=True).stdout.strip()
            assert shown_end in end, (shown_end, end)
            # A fault is reported once, although the files are read again and again.
            assert log(service).count("does not belong") == 1, log(service)[-3000:]
        load.moves()
        load.end()
        assert not load.failures, f"{len(load.failures)} of {load.sent + load.asked} requests failed: {load.failures[:5]}"
        answer = json.loads(cluster.query()[1])
        steps = [step["count"] for step in answer["steps"]]
        assert steps == [load.sent, load.sent], (steps, load.sent)
        print(f"        {load.sent} appends, {load.asked} queries, no failed request")
        for service in cluster.all:
            for version, is_taken in [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]:
                said = s_client(service.http, version, "-cipher", "ALL:@SECLEVEL=0")
                assert ("Cipher is (NONE)" not in said) == is_taken, (service.name, version, said)
    finally:
        if load:
            load.end()
        cluster.stop()


def sluice(*arguments, environment=None, stdin=b""):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")}
    run = subprocess.run(
        [os.path.join(PROGRAMS, "sluice"), *arguments], env={**clean, **(environment or {})}, input=stdin, capture_output=True, timeout=120)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


@attempt
def a_service_is_what_its_certificate_says(folder):
    authority = Authority(folder)
    for role in ("ingest", "shard", "coordinator"):
        authority.sign(role, role + ".sluice")
    roles = {"SLUICE_TLS_CLIENT_CA": authority.roots}
    parts = {
        "of_" + part: {"tls": True, "environment": authority.settings(role, **roles)}
        for part, role in [("coordinator", "coordinator"), ("shards", "shard"), ("ingest", "ingest")]
    }
    cluster = Cluster(folder, "cluster", shards=2, **parts)
    try:
        # Clients have keys (here none are needed) and no certificate.
        events = [{"user_id": "u", "event": name, "timestamp": f"2026-01-01T00:0{at}:00Z"} for at, name in enumerate("ab")]
        lines = "\n".join(json.dumps(event) for event in events).encode()
        status, _, error = sluice("load", "-", "--to", cluster.ingest.address, "--tls-ca", authority.roots, stdin=lines)
        assert status == 0, error
        status, text, error = sluice(
            "query", "--steps", "a,b", "--to", cluster.coordinator.address, "--tls-ca", authority.roots, "--format", "json")
        assert status == 0 and [step["count"] for step in json.loads(text)["steps"]] == [1, 1], (text, error)
        # The command asks a shard as a coordinator does. The secret alone, or with the certificate of another role, opens nothing.
        for role, is_taken in [("coordinator", True), ("ingest", False), ("shard", False)]:
            status, text, error = sluice(
                "cluster", "recover", "--data", os.path.join(folder, "recovered-" + role),
                "--shards", ",".join(shard.address for shard in cluster.shards),
                environment={**authority.settings(role), "SLUICE_CLUSTER_SECRET": SECRET})
            assert (status == 0) == is_taken and ("coordinator.sluice" in error) != is_taken, (role, status, error)
        # A service refuses to start with the certificate of another role.
        stranger = Service(
            "sluice-shard", "stranger", folder, ["--coordinator", cluster.coordinator.address], environment=authority.settings("ingest", **roles))
        assert stranger.process.wait(30) == 2 and "shard.sluice" in log(stranger), log(stranger)
        # One without a certificate that the others accept is not let in, although it has the secret.
        foreign = Authority(folder, "foreign")
        foreign.sign("stranger", "shard.sluice")
        stranger = Service(
            "sluice-shard", "foreigner", folder, ["--coordinator", cluster.coordinator.address], tls=True,
            environment={**authority.settings("shard"), "SLUICE_TLS_CERT": foreign.path("stranger.pem"), "SLUICE_TLS_KEY": foreign.path("stranger.key")})
        try:
            until("the stranger does not run", lambda: stranger.call("/healthz")[0] == 200)
            for _ in range(20):
                assert stranger.call("/readyz")[0] == 503
                time.sleep(0.1)
            assert not os.path.exists(os.path.join(stranger.data, "cluster.snapshot"))
        finally:
            stranger.stop()
    finally:
        cluster.stop()


@attempt
def a_certificate_is_replaced_while_a_service_starts_late(folder):
    """A service that is started after the change uses the new files, and works with those that were there before."""
    authority = Authority(folder)
    for name in ("used", "one"):
        authority.sign(name)
    cluster = Cluster(folder, "cluster", shards=1, environment=authority.settings("used"), **TLS)
    late = None
    try:
        authority.replace("used", "one")
        late = Service(
            "sluice-ingest", "late", folder, ["--coordinator", cluster.coordinator.address], environment=authority.settings("used"), tls=True)
        late.until(200)
        assert shown(late.http) == "one"
        assert late.call("/v1/events", [{"user_id": "u", "event": "a", "timestamp": "2026-01-01T00:00:00Z"}])[0] == 200
        port = free_port()
        wrong = Service("sluice-shard", "wrong", folder, ["--coordinator", f"127.0.0.1:{port}"],
                        environment={**authority.settings("used"), "SLUICE_TLS_KEY": authority.path("authority.key")})
        assert wrong.process.wait(30) == 2 and "does not belong to the certificate" in log(wrong), log(wrong)
    finally:
        if late:
            late.stop()
        cluster.stop()
