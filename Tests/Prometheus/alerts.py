"""Makes the cause of each alert on real processes, and shows that it fires; and that none does while all is well.

Usage: alerts.py [NAME ...]   runs the causes of these names only.
"""

import glob
import http.server
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import rule_names
from promtool import Story, firing, parse
from services import Cluster, events, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
CAUSES = []


def cause(*alerts, lead=30, tail=6):
    """Marks a function that makes a cause: it is given an empty folder and a story."""

    def mark(function):
        CAUSES.append((function, set(alerts), lead, tail))
        return function

    return mark


def scrapes(story, targets, times, pause=0.0):
    for _ in range(times):
        story.scrape(targets)
        time.sleep(pause)


@cause()
def all_is_well(folder, story):
    cluster = Cluster(folder, "well", shard=["--seal-rows", "1000"])
    try:
        scrapes(story, cluster.all, 1)
        for month in range(1, 6):
            assert cluster.send(events(3_000, month=month))[0] == 200
            assert cluster.query()[0] == 200
            scrapes(story, cluster.all, 1)
        check_metrics(cluster.all)
    finally:
        cluster.stop()


def check_metrics(targets):
    for target in targets:
        done = subprocess.run(["promtool", "check", "metrics"], input=target.metrics(), capture_output=True, text=True)
        if done.returncode != 0 or done.stdout.strip() or done.stderr.strip():
            raise AssertionError(f"promtool check metrics: {target.name}: {done.stdout}{done.stderr}")


@cause(
    "SluiceShardDownForIngest", "SluiceShardDownForQueries", "SluiceTargetDown", "SluiceIngestFails", "SluiceQueriesFail",
    "SluiceAnswersPartial")
def a_shard_hangs(folder, story):
    cluster = Cluster(folder, "hangs")
    try:
        assert cluster.send(events(100))[0] == 200
        scrapes(story, cluster.all, 1)
        cluster.shards[0].kill(signal.SIGSTOP)
        time.sleep(3.5)
        for _ in range(3):
            assert cluster.send(events(100))[0] == 503
            assert cluster.query()[0] in (503, 504)
            assert cluster.query(allow_partial=True, deadline="1s")[0] == 200
            scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


@cause("SluiceRestarts", "SluiceTargetDown")
def a_shard_is_killed_again_and_again(folder, story):
    cluster = Cluster(folder, "killed", shards=1)
    try:
        shard = cluster.shards[0]
        scrapes(story, cluster.all, 1)
        for _ in range(3):
            shard.stop(signal.SIGKILL)
            shard.start()
            shard.until(200)
            scrapes(story, cluster.all, 1)
        shard.stop(signal.SIGKILL)
        scrapes(story, cluster.all, 2)
    finally:
        cluster.stop()


@cause("SluiceCoordinatorNotHeard", tail=3)
def the_coordinator_is_away(folder, story):
    cluster = Cluster(folder, "away", shards=1)
    try:
        scrapes(story, cluster.all, 1)
        cluster.coordinator.stop()
        time.sleep(62)
        scrapes(story, cluster.all, 2)
    finally:
        cluster.stop()


@cause("SluiceMetadataStale", "SluiceCoordinatorNotHeard")
def ingest_is_cut_off_and_keys_change(folder, story):
    cluster = Cluster(folder, "stale", shards=1)
    try:
        scrapes(story, cluster.all, 1)
        cluster.ingest.stop()
        cluster.coordinator.stop()
        cluster.coordinator.environment["SLUICE_READ_KEYS"] = "a-new-key-of-enough-bytes"
        cluster.coordinator.start()
        cluster.coordinator.until(200)
        cluster.ingest.start("--coordinator", f"127.0.0.1:{free_port()}")
        end = time.time() + 5
        while cluster.ingest.metrics() is None and time.time() < end:
            time.sleep(0.05)
        scrapes(story, cluster.all, 2)
    finally:
        cluster.stop()


@cause("SluiceDiskFilling", "SluiceAppendsRefusedForSpace", "SluiceNotReady", "SluiceIngestFails")
def the_disk_is_full(folder, story):
    free = shutil.disk_usage(folder).free >> 20
    cluster = Cluster(folder, "full", shards=1, shard=["--reserve-mb", str(min(1_000_000, free + 100_000))], ready=False)
    try:
        cluster.coordinator.until(200)
        end = time.time() + 10
        while "below the reserve" not in cluster.shards[0].call("/readyz")[1] and time.time() < end:
            time.sleep(0.05)
        scrapes(story, cluster.all, 1)
        for _ in range(3):
            assert cluster.send(events(100))[0] == 503
            scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


@cause("SluiceDamage", "SluiceQueriesFail")
def a_file_is_damaged(folder, story):
    cluster = Cluster(folder, "damaged", shards=1, shard=["--seal-rows", "1000"])
    try:
        assert cluster.send(events(5_000))[0] == 200
        shard = cluster.shards[0]
        end = time.time() + 10
        while not glob.glob(shard.data + "/seg-*") and time.time() < end:
            time.sleep(0.05)
        shard.stop()
        for path in glob.glob(shard.data + "/seg-*"):
            with open(path, "r+b") as file:
                file.seek(60)
                byte = file.read(1)[0]
                file.seek(60)
                file.write(bytes([byte ^ 1]))
        shard.start()
        shard.until(200)
        scrapes(story, cluster.all, 1)
        for _ in range(3):
            cluster.query()
            scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


def disk_library(folder):
    library = os.path.join(folder, "disk.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, os.path.join(HERE, "disk.c"), "-ldl"], check=True)
    return library


def sample(service, name):
    """The value of a metric that has no labels."""
    return parse(service.metrics() or "").get((name, ""), 0)


@cause("SluiceSealsFail", "SluiceSealsSlow", "SluiceMergesFail", lead=70, tail=8)
def seals_and_merges_fail(folder, story):
    full = os.path.join(folder, "full")
    environment = {"LD_PRELOAD": disk_library(folder), "TEST_DISK_FULL": full}
    cluster = Cluster(folder, "unsealed", shards=1, of_shards={"environment": environment}, shard=["--seal-rows", "1000"])
    try:
        # Some segments, and then no room.
        shard = cluster.shards[0]
        for _ in range(20):
            assert cluster.send(events(1_500))[0] == 200
            while sample(shard, "sluice_store_memtable_rows"):
                time.sleep(0.05)
            if sample(shard, "sluice_store_segments") >= 3:
                break
        scrapes(story, cluster.all, 1)
        open(full, "w").close()
        # While nothing comes, segments are merged into one.
        end = time.time() + 30
        while not sample(cluster.shards[0], "sluice_store_failed_merges_total") and time.time() < end:
            time.sleep(0.2)
        # Texts that are long, so that few rows fill the memory.
        wide = [{**event, "properties": {"text": f"{i:04}" + 1_000 * "x"}} for i, event in enumerate(events(4_000))]
        for _ in range(300):
            assert cluster.send(wide)[0] == 200
            if sample(cluster.shards[0], "sluice_store_memtable_bytes") > 390 << 20:
                break
        else:
            raise AssertionError("the memtable did not grow")
        scrapes(story, cluster.all, 3, 0.2)
    finally:
        cluster.stop()


@cause("SluiceDiskSlow", "SluiceIngestSlow")
def the_disk_is_slow(folder, story):
    environment = {"LD_PRELOAD": disk_library(folder), "TEST_DISK_SYNC_MS": "2500"}
    cluster = Cluster(folder, "slow", shards=1, of_shards={"environment": environment})
    try:
        scrapes(story, cluster.all, 1)
        for _ in range(2):
            assert cluster.send(events(10))[0] == 200
            scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


@cause("SluiceEventsRejected", tail=3)
def events_are_bad(folder, story):
    cluster = Cluster(folder, "bad", shards=1)
    try:
        scrapes(story, cluster.all, 1)
        for _ in range(6):
            assert cluster.send(events(10) + [{"user_id": "u", "event": "a", "timestamp": "yesterday"}] * 5)[0] == 200
            scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


@cause("SluiceQueriesRefused")
def there_is_no_place_for_queries(folder, story):
    cluster = Cluster(folder, "crowded", shards=1, coordinator=["--queries-running", "1", "--queries-queued", "0"])
    try:
        scrapes(story, cluster.all, 1)
        cluster.shards[0].kill(signal.SIGSTOP)
        with ThreadPoolExecutor(8) as pool:
            for _ in range(3):
                asked = [pool.submit(cluster.query, deadline="2s") for _ in range(6)]
                time.sleep(0.3)
                statuses = [one.result()[0] for one in asked]
                assert 503 in statuses, statuses
                scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


class Receiver(http.server.BaseHTTPRequestHandler):
    """A receiver of webhooks that takes nothing: /busy may work later, /gone never."""

    def do_POST(self):
        self.send_response(404 if self.path == "/gone" else 500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@cause("SluiceNoticesWait", "SluiceNoticesLost", "SluiceAlertRulesUnanswered")
def channels_fail_and_rules_get_no_answers(folder, story):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    cluster = Cluster(folder, "notices", shards=1, coordinator=["--alert-seconds", "1", "--allowed-targets", "127.0.0.1"])
    ask = cluster.coordinator.call
    try:
        scrapes(story, cluster.all, 1)
        assert put(ask, "/v1/funnels/f", {"steps": ["a", "b"]}) == 201
        for name in ("busy", "gone"):
            url = f"http://127.0.0.1:{receiver.server_port}/{name}"
            assert put(ask, f"/v1/channels/{name}", {"kind": "webhook", "settings": {"url": url}}) == 201
        rule = {"funnel_id": "f", "metric": {"kind": "count", "step": 1}, "condition": {"no_data": {}}, "period": "5m", "channels": ["busy", "gone"]}
        assert put(ask, "/v1/alerts/r", rule) == 201
        wait(cluster.coordinator, "sluice_notices_waiting", 1)
        scrapes(story, cluster.all, 7, pause=1)
        cluster.shards[0].kill(signal.SIGKILL)
        # Another rule, whose first period is due at once.
        assert put(ask, "/v1/alerts/s", {**rule, "metric": {"kind": "count", "step": 2}, "within": "1m"}) == 201
        scrapes(story, cluster.all, 8, pause=1.5)
    finally:
        cluster.stop()
        receiver.shutdown()


def put(ask, path, document):
    return ask(path, document, method="PUT")[0]


def wait(service, name, value):
    end = time.time() + 30
    while sample(service, name) != value:
        assert time.time() < end, f"{name} is not {value}"
        time.sleep(0.2)


@cause("SluiceCertificateExpires", "SluiceTLSFilesRefused")
def a_certificate_ends_soon_and_the_next_is_bad(folder, story):
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=sluice", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    environment = {"SLUICE_TLS_CERT": certificate, "SLUICE_TLS_KEY": key, "SLUICE_TLS_CA": certificate}
    tls = {"tls": True}
    cluster = Cluster(folder, "tls", shards=1, environment=environment, of_coordinator=tls, of_shards=tls, of_ingest=tls)
    try:
        scrapes(story, cluster.all, 2)
        check_metrics(cluster.all)
        os.truncate(key, 100)
        end = time.time() + 30
        while any(sample(service, "sluice_tls_reload_failed") != 1 for service in cluster.all):
            assert time.time() < end, "the change of the key was not noticed"
            time.sleep(0.2)
        scrapes(story, cluster.all, 1)
    finally:
        cluster.stop()


@cause("SluiceClockOff")
def a_clock_is_off(folder, story):
    if shutil.which("faketime") is None:
        raise LookupError("faketime is not installed")
    # `faketime PROGRAM` would stay in front of it. The library moves the environment where it is loaded first, by which Swift's
    # runtime finds the arguments: that is done in `env`, which replaces itself by the program.
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    environment = {"LD_PRELOAD": libraries[0], "FAKETIME": "+90s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    cluster = Cluster(folder, "clock", shards=1, of_ingest={"environment": environment, "prefix": ["env"]})
    try:
        scrapes(story, cluster.all, 2)
    finally:
        cluster.stop()


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))


@cause("SluiceLimitsNear")
def files_run_out(folder, story):
    cluster = Cluster(folder, "files", shards=1, of_ingest={"before": few_files})
    held = []
    try:
        scrapes(story, cluster.all, 1)
        # So many that one more, for the scrape, has room.
        for _ in range(100 - open_files(cluster.ingest) - 8):
            held.append(socket.create_connection(("127.0.0.1", cluster.ingest.http)))
        time.sleep(0.3)
        scrapes(story, cluster.all, 2)
    finally:
        for connection in held:
            connection.close()
        cluster.stop()


def open_files(service):
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


@cause("SluiceConnectionsRefused")
def connections_are_refused(folder, story):
    cluster = Cluster(folder, "doors", shards=1, ingest=["--connections-per-address", "4"])
    held = []
    try:
        scrapes(story, [cluster.ingest], 1)
        for _ in range(3):
            # Each is in the middle of a request, so that none is closed for another. Those above the limit stay for 5 s.
            for _ in range(20):
                connection = socket.create_connection(("127.0.0.1", cluster.ingest.http))
                connection.sendall(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n[")
                held.append(connection)
            time.sleep(5.3)
            for connection in held:
                connection.close()
            held.clear()
            time.sleep(0.2)
            scrapes(story, [cluster.ingest], 1)
    finally:
        for connection in held:
            connection.close()
        cluster.stop()


def run(entry, folder):
    function, expected, lead, tail = entry
    start = time.time()
    own = os.path.join(folder, function.__name__)
    os.mkdir(own)
    story = Story()
    function(own, story)
    shutil.rmtree(own, ignore_errors=True)
    found = firing(story, lead, tail)
    is_right = expected <= found and (expected or not found)
    words = ", ".join(sorted(expected)) or "none"
    extra = found - expected
    return is_right, expected, (
        f"{'ok  ' if is_right else 'FAIL'} {function.__name__} ({time.time() - start:.0f} s): {words}"
        + (f"; missing: {', '.join(sorted(expected - found))}" if expected - found else "")
        + (f"; also {', '.join(sorted(extra))}" if extra else ""))


def main():
    wanted = set(sys.argv[1:])
    entries = [entry for entry in CAUSES if not wanted or entry[0].__name__ in wanted]
    # What waits longest first.
    entries.sort(key=lambda entry: entry[0] is not the_coordinator_is_away)
    failed, covered = [], set()
    with tempfile.TemporaryDirectory(prefix="sluice-alerts-") as folder, ThreadPoolExecutor(3) as pool:
        for entry, future in [(entry, pool.submit(run, entry, folder)) for entry in entries]:
            try:
                is_right, alerts, line = future.result()
                covered |= alerts if is_right else set()
                print(line, flush=True)
            except Exception as error:  # The others go on.
                is_right = False
                print(f"FAIL {entry[0].__name__}: {type(error).__name__}: {error}", flush=True)
            if not is_right:
                failed.append(entry[0].__name__)
    if not wanted:
        untested = rule_names.alerts() - covered
        print(f"{len(covered)} of {len(rule_names.alerts())} alerts were made to fire" + (f"; not: {', '.join(sorted(untested))}" if untested else ""))
        failed += sorted(untested)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
