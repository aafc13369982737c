"""The recipes of deploy/examples on a real cluster, with a real PostgreSQL that runs unprivileged in a temporary folder.

    SLUICE_PROGRAMS=.build/release python3 Tests/Examples/run.py

Exit status 0 if all is well.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
EXAMPLES = os.path.join(ROOT, "deploy/examples")
PROGRAMS = os.path.abspath(os.environ.get("SLUICE_PROGRAMS", os.path.join(ROOT, ".build/release")))
KEYS = {"write": "write-key-of-the-examples", "read": "read-key-of-the-examples"}
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PG"))}

TABLE = r"""
CREATE TABLE order_changes (
    order_id bigint, customer_id text, status text, changed_at timestamptz, amount numeric(10, 2), country text, details jsonb);
SET TIME ZONE 'America/New_York';
INSERT INTO order_changes SELECT
    i, 'customer ' || i, 'placed', '2026-11-20 10:00:00+00'::timestamptz + i * interval '1 minute', i + 0.5,
    (ARRAY['DE', '007', E'a,"b"\nc', NULL, ''])[i % 5 + 1],
    jsonb_build_object('coupon', E'back\\slash "and" {brace}, ü', 'items', i)
    FROM generate_series(1, 1000) i;
INSERT INTO order_changes SELECT order_id, customer_id, 'paid', changed_at + interval '90.25 seconds', amount, country, '{}'
    FROM order_changes WHERE order_id % 4 = 0;
INSERT INTO order_changes VALUES (5000, 'an early one', 'placed', '2026-11-20 00:00:00+00', 1, 'DE', NULL);
INSERT INTO order_changes VALUES (5001, 'one too early', 'placed', '2026-11-19 23:59:59.999999+00', 1, 'DE', NULL);
"""


class Checks:
    def __init__(self):
        self.done, self.failed = 0, 0

    def equal(self, found, wanted, what):
        self.done += 1
        if found != wanted:
            self.failed += 1
            print(f"FAIL {what}: {found!r}, expected {wanted!r}", flush=True)


class Cluster:
    def __init__(self, folder):
        self.info_file = os.path.join(folder, "info.json")
        keys = {f"SLUICE_{name.upper()}_KEYS": key for name, key in KEYS.items()}
        self.log = open(os.path.join(folder, "up.log"), "wb")
        self.process = subprocess.Popen(
            [f"{PROGRAMS}/sluice", "up", "--shards", "2", "--any-port", "--data", os.path.join(folder, "data"), "--info", self.info_file],
            env={**CLEAN, **keys}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.time() + 60
        while not os.path.exists(self.info_file):
            if self.process.poll() is not None or time.time() > end:
                self.stop()
                raise SystemExit("sluice up did not get ready")
            time.sleep(0.05)
        with open(self.info_file) as file:
            self.info = json.load(file)

    def ask(self, path, body=None):
        request = urllib.request.Request(
            f"http://{self.info['coordinator']['http']}{path}", None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {KEYS['read']}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def counts(self, *steps):
        return [step["count"] for step in self.ask("/v1/query", {"funnel": {"steps": steps}})["steps"]]

    def values(self, name):
        """Users of `Order placed` by value of a property; None is users without one."""
        answer = self.ask("/v1/query", {"funnel": {"steps": ["Order placed"]}, "breakdown": {"property": name, "k": 100}})
        return {row["value"]: row["entered"] for row in answer["breakdown"]["rows"] if row["entered"]}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.log.close()


class PostgreSQL:
    """A server that listens on a socket in a folder. It refuses to run as root, so root runs it as `nobody`."""

    def __init__(self, folder):
        versions = sorted(os.listdir("/usr/lib/postgresql"), key=int)
        self.programs = f"/usr/lib/postgresql/{versions[-1]}/bin"
        self.folder = folder
        self.identity = {}
        if os.geteuid() == 0:
            self.identity = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
        data = os.path.join(folder, "data")
        self.run("initdb", "--pgdata", data, "--username", "shop", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        self.server = subprocess.Popen(
            [f"{self.programs}/postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"], **self.identity,
            cwd=folder, env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.environment = {"PGHOST": folder, "PGUSER": "shop", "PGDATABASE": "shop"}
        end = time.time() + 60
        while self.psql("SELECT 1", database="postgres", check=False):
            if time.time() > end or self.server.poll() is not None:
                self.stop()
                raise SystemExit("PostgreSQL did not start")
            time.sleep(0.1)
        self.psql("CREATE DATABASE shop", database="postgres")
        self.psql(TABLE)

    def run(self, program, *arguments):
        subprocess.run(
            [f"{self.programs}/{program}", *arguments], check=True, cwd=self.folder, env=CLEAN, stdout=subprocess.DEVNULL, **self.identity)

    def psql(self, text, database="shop", check=True):
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database], input=text, text=True, env={**CLEAN, **self.environment},
            capture_output=True)
        if check and done.returncode:
            raise SystemExit(f"psql: {done.stderr}")
        return done.returncode

    def stop(self):
        if self.server.poll() is None:
            self.server.terminate()
            self.server.wait(60)


def environment(cluster, **more):
    """Of a shell that finds `sluice`."""
    return {
        **CLEAN, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "SLUICE_KEY": KEYS["write"], "SLUICE_INGEST": cluster.info["ingest"]["wire"],
        **more}


def run(command, cluster, folder, **more):
    return subprocess.run(command, env=environment(cluster, **more), cwd=folder, capture_output=True, text=True, timeout=300)


def database(cluster, folder, checks):
    os.chmod(folder, 0o755)
    place = os.path.join(folder, "pg")
    os.mkdir(place)
    server = PostgreSQL(place)
    script = os.path.join(EXAMPLES, "postgresql.sh")
    try:
        for turn in range(2):
            done = run([script, "2026-11-20"], cluster, folder, **server.environment)
            checks.equal(done.returncode, 0, f"postgresql.sh, run {turn + 1}: {done.stderr}")
            checks.equal(cluster.counts("Order placed", "Order paid"), [1001, 250], f"counts after run {turn + 1}")
        wanted = {"DE": 201, "007": 200, "a,\"b\"\nc": 200, None: 400}
        checks.equal(cluster.values("country"), wanted, "countries; NULL and an empty text are absent")
        checks.equal(cluster.values("details.coupon"), {"back\\slash \"and\" {brace}, ü": 1000, None: 1}, "texts in JSON")
        conditions = [{"property": "amount", "op": ">=", "value": 500.5}, {"property": "details.items", "op": "<", "value": 501}]
        found = cluster.ask("/v1/query", {"funnel": {"steps": [{"name": "Order placed", "where": conditions}]}})
        checks.equal(found["entered"], 1, "numbers")
        times = cluster.ask("/v1/query", {"funnel": {"steps": ["Order placed", "Order paid"], "clock": "microsecond"}})
        checks.equal(times["steps"][1]["median_seconds"], 90.25, "times")

        # More rows, and one that changed a property: it has the same id, so the first one stays.
        server.psql("INSERT INTO order_changes VALUES (6000, 'customer 1', 'paid', '2026-11-21 10:00:00+00', 1, 'DE', NULL)")
        checks.equal(run([script, "2026-11-20"], cluster, folder, **server.environment).returncode, 0, "a third run")
        checks.equal(cluster.counts("Order placed", "Order paid"), [1001, 251], "counts after a new row")
        # SINCE is quoted by psql, and a query that fails fails the script, though `sluice load` reads an empty input.
        for since in ["2026-11-20'; DROP TABLE order_changes; --", "no day"]:
            checks.equal(run([script, since], cluster, folder, **server.environment).returncode != 0, True, f"SINCE {since}")
        checks.equal(run([script, "2026-11-20"], cluster, folder, **server.environment).returncode, 0, "the table is still there")
        checks.equal(run([script], cluster, folder, **{**server.environment, "PGDATABASE": "none"}).returncode != 0, True, "no database")
    finally:
        server.stop()


def files(cluster, folder, checks):
    spool = os.path.join(folder, "spool with blanks")
    os.mkdir(spool)

    def write(name, text, opener=open):
        with opener(os.path.join(spool, name), "wt") as file:
            file.write(text)

    def names(*of):
        return sorted(name for name in os.listdir(os.path.join(spool, *of)) if not name.startswith(".") and name != "done")

    script = os.path.join(EXAMPLES, "nightly.sh")
    head = "user_id,event,timestamp\n"
    write("a day.csv", head + "".join(f"n{i},Night,2026-11-0{1 + i % 3}T00:00:0{i % 10}Z\n" for i in range(100)))
    write("-dash.csv.gz", head + "n100,Night,2026-11-04T00:00:00Z\n", gzip.open)
    write(".being written.csv", head + "n999,Night,2026-11-04T00:00:00Z\n")
    done = run([script, spool], cluster, folder)
    checks.equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "nightly.sh is silent if all is well")
    checks.equal((names(), names("done"), cluster.counts("Night")), ([], ["-dash.csv.gz", "a day.csv"], [101]), "files that were loaded")
    # A file with a bad row, and an empty one.
    write("b.csv", head + "n101,Night,2026-11-05T00:00:00Z\nn102,Night,yesterday\n")
    write("c.csv", "")
    done = run([script, spool], cluster, folder)
    checks.equal((done.returncode, "rejected" in done.stderr), (3, True), f"a bad row: {done.stderr}")
    checks.equal(("b.csv" in names("done"), "b.csv.rejected.ndjson" in names(), cluster.counts("Night")), (True, True, [102]), "a bad row")
    # Ingest is away: the file stays for the next run.
    write("d.csv", head + "n103,Night,2026-11-05T00:00:00Z\n")
    done = run([script, spool], cluster, folder, SLUICE_KEY="no-valid-key-of-anybody")
    checks.equal((done.returncode, "d.csv" in names(), cluster.counts("Night")), (1, True, [102]), f"a refused key: {done.stderr}")
    # The lines of the crontab as cron runs them: with nothing but its own variables.
    with open(os.path.join(folder, "load.env"), "w") as file:
        file.write(f"SLUICE_KEY={KEYS['write']}\nSLUICE_INGEST={cluster.info['ingest']['wire']}\n")
    with open(os.path.join(EXAMPLES, "nightly.crontab")) as file:
        lines = [line for line in file.read().splitlines() if re.match(r"[\d*]", line)]
    checks.equal(len(lines), 2, "lines of the crontab")
    command = re.fullmatch(r"30 2 \* \* \* sluice (.*nightly\.sh /var/spool/sluice)", lines[0])[1]
    command = command.replace("/etc/sluice/load.env", f"'{folder}/load.env'").replace("/usr/local/bin", EXAMPLES)
    command = command.replace("/var/spool/sluice", f"'{spool}'")
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"PATH": f"{PROGRAMS}:/usr/bin:/bin", "HOME": folder, "SHELL": "/bin/sh"}, capture_output=True,
        text=True, timeout=300)
    checks.equal((done.returncode, done.stderr, "d.csv" in names("done"), cluster.counts("Night")), (0, "", True, [103]), "by cron")


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="sluice-examples-") as folder:
        cluster = Cluster(folder)
        try:
            database(cluster, folder, checks)
            files(cluster, folder, checks)
        finally:
            cluster.stop()
    print(f"examples: {checks.done} checks, {checks.failed} failed")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
