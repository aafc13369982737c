#!/usr/bin/env python3
"""The SDKs of other products, as published, send events to a cluster of real processes, through a proxy that makes faults.

    run.sh [--short] [--seed N] [--only segment,browser] [--logs DIRECTORY]

`--only`: SDKs of Python by name, and `browser`, the pages. `--logs`: a folder with real logs; those that are not there are
skipped by name, and generated events take their place. The exit status is 1 if a case fails.
"""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cases
import eventlog
from browser import CHROMIUM, Browser
from cluster import PROJECTS, Cluster, write_key
from judge import Verdict, judge
from proxy import Faults, Proxy

HERE = os.path.dirname(os.path.abspath(__file__))
# SDKs of Python and browsers at the same time; they mostly wait.
WORKERS, BROWSERS = 4, 2
# Seconds for which a killed shard is away.
AWAY = 1.5


class Table:
    """One row a case, printed when it ends."""

    def __init__(self):
        self.lock, self.passed, self.failed, self.skipped = threading.Lock(), 0, 0, 0
        self._print("SDK", "form", "sent", "acked", "counted", "resent", "dropped", "s", "outcome")

    def skip(self, sdk, form, why):
        self.skipped += 1
        self._print(sdk, form, *[""] * 6, "skipped: " + why)

    def fail(self, sdk, form, why):
        self.failed += 1
        self._print(sdk, form, *[""] * 6, "FAILED; " + why)

    def tell(self, verdict, seconds):
        case = verdict.case
        with self.lock:
            self.passed += not verdict.wrong
            self.failed += bool(verdict.wrong)
            outcome = ["FAILED", *verdict.wrong[:6]] if verdict.wrong else ["ok"]
            self._print(
                ("page, " if case.is_page else "") + case.sdk, case.title, verdict.sent, verdict.acknowledged, verdict.counted,
                verdict.resent, verdict.dropped, f"{seconds:.1f}", "; ".join(outcome + verdict.notes))

    @staticmethod
    def _print(sdk, form, sent, acknowledged, counted, resent, dropped, seconds, outcome):
        print(
            f"{sdk:15} {form:31} {sent:>6} {acknowledged:>6} {counted:>7} {resent:>6} {dropped:>7} {seconds:>5}  {outcome}", flush=True)


class Suite:
    def __init__(self, seed, cluster, directory, table):
        self.seed, self.cluster, self.directory, self.table = seed, cluster, directory, table
        self.lock, self.projects, self.files = threading.Lock(), 0, {}
        self.certificate = (os.path.join(directory, "certificate.pem"), os.path.join(directory, "key.pem"))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost", "-out", self.certificate[0], "-keyout", self.certificate[1]]
        subprocess.run(command, check=True, capture_output=True)
        self.gate, self.gated, self.senders = threading.Event(), [], []

    def leave(self, *_):
        """A run that is broken off leaves nothing behind."""
        # Kept, so that no thread starts or prints anything more.
        self.lock.acquire()
        self.table.lock.acquire()
        for sender in self.senders:
            sender.kill()
        self.cluster.__exit__()
        shutil.rmtree(self.directory, ignore_errors=True)
        os._exit(130)

    def run(self, some):
        pages = [[case] for case in some if case.is_page]
        with concurrent.futures.ThreadPoolExecutor(WORKERS + BROWSERS) as pool:
            futures = [pool.submit(self.run_pages, pages[number::BROWSERS]) for number in range(BROWSERS) if pages]
            futures += [pool.submit(self.run_python, case) for case in some if not case.is_page]
            for future in futures:
                future.result()

    def run_kill(self, some):
        """All send at the same time. When each has sent a request, a shard is killed, and is started again a moment later."""
        if not some:
            return
        pages = [case for case in some if case.is_page]
        with concurrent.futures.ThreadPoolExecutor(len(some) + 1) as pool:
            futures = [pool.submit(self.run_python, case) for case in some if not case.is_page]
            futures += [pool.submit(self.run_pages, [pages])] if pages else []
            end = time.monotonic() + 60
            while time.monotonic() < end and sum(proxy.at_gate.is_set() for proxy in self.gated) < len(some):
                time.sleep(0.02)
            # The next request of each is on its way while the shard dies.
            self.gate.set()
            time.sleep(random.Random(self.seed).uniform(0, 0.02))
            self.cluster.kill("shard-0")
            time.sleep(AWAY)
            self.cluster.start("shard-0")
            self.cluster.wait_ready(60, ["shard-0"])
            for future in futures:
                future.result()

    def prepare(self, case):
        """A project and a proxy of the case's own."""
        with self.lock:
            self.projects += 1
            project = self.projects
        assert project <= PROJECTS
        faults = Faults(case.proxy_fault, random.Random(f"{self.seed} {case.sdk} {case.title} {case.size}"), larger_than=case.larger_than)
        proxy = Proxy(
            self.cluster.http("ingest"), case.sdk, faults, case.hold, self.gate if case.fault == "kill" else None,
            self.certificate if case.uses_tls else None)
        if case.fault == "kill":
            self.gated.append(proxy)
        return project, proxy

    # ---- SDKs of Python

    def run_python(self, case):
        started = time.monotonic()
        project, proxy = self.prepare(case)
        try:
            reports = [self.send(case, project, proxy) for _ in range(case.runs)]
            verdict = judge(case, project, self.cluster, proxy, reports)
        except Exception as error:  # of the sender or of the suite; the other cases go on
            verdict = Verdict(case, error)
        finally:
            proxy.close()
        self.table.tell(verdict, time.monotonic() - started)

    def send(self, case, project, proxy):
        settings = {
            "key": write_key(project), "url": proxy.url, "host": proxy.host, "form": case.form, "ids": case.fault == "again",
            "timeout": 1 if case.fault == "slow" else 15, "rows": self.file(case.log),
            # Amplitude's SDK waits 30 s before it sends again what a shard could not store.
            "patience": {"reset": 4, "kill": 45}.get(case.fault, 15),
        }
        variables = {**os.environ, "REQUESTS_CA_BUNDLE": self.certificate[0], "NO_PROXY": "localhost"}
        command = [sys.executable, os.path.join(HERE, "sender.py"), case.sdk]
        pipe = subprocess.PIPE
        with self.lock:
            sender = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables)
            self.senders.append(sender)
        try:
            output, faults = sender.communicate(json.dumps(settings), timeout=150)
        finally:
            sender.kill()
        if sender.returncode:
            raise RuntimeError("the sender failed: " + faults[-300:])
        return json.loads(output.splitlines()[-1])

    def file(self, log):
        with self.lock:
            if id(log) not in self.files:
                path = os.path.join(self.directory, f"rows-{len(self.files)}.ndjson")
                with open(path, "w") as file:
                    file.writelines(json.dumps(row) + "\n" for row in log.rows)
                self.files[id(log)] = path
            return self.files[id(log)]

    # ---- Pages

    def run_pages(self, groups):
        """The cases of a group send from one page at the same time. A browser belongs to one thread."""
        browser = Browser()
        try:
            for group in groups:
                self.run_page(browser, group)
        finally:
            browser.close()

    def run_page(self, browser, group):
        started = time.monotonic()
        prepared = [(case, *self.prepare(case)) for case in group]
        try:
            reports, faults = [[] for _ in group], []
            for _ in range(group[0].runs):
                settings = [page_settings(case, project, proxy) for case, project, proxy in prepared]
                if group[0].is_beacon:
                    results, more = browser.run_at_end(settings[0], prepared[0][2])
                else:
                    results, more = browser.run(settings)
                faults += more
                for report, result in zip(reports, results):
                    report.append({**result, "errors": result["dropped"], "successes": result["sent"]})
            verdicts = [
                judge(case, project, self.cluster, proxy, report, faults) for (case, project, proxy), report in zip(prepared, reports)]
        except Exception as error:
            verdicts = [Verdict(case, error) for case in group]
        finally:
            for _, _, proxy in prepared:
                proxy.close()
        for verdict in verdicts:
            self.table.tell(verdict, time.monotonic() - started)


def page_settings(case, project, proxy):
    return {
        "product": case.sdk, "form": case.form, "size": case.size, "ids": case.fault == "again", "key": write_key(project),
        "url": proxy.url, "timeout": 1_000 if case.fault == "slow" else 15_000, "rows": [finite(row) for row in case.log.rows],
    }


def finite(row):
    """JSON of a page has no NaN."""
    return {**row, "more": {name: None if value != value or value == float("inf") else value for name, value in row["more"].items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="some cases of every SDK, less than a minute")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of rows and of the requests that get a fault")
    parser.add_argument("--only", default="", help="by commas: " + ", ".join([*cases.PYTHON, "browser"]))
    parser.add_argument("--logs", help="folder of the real logs")
    options = parser.parse_args()
    chosen = set(filter(None, options.only.split(","))) or {*cases.PYTHON, "browser"}
    if unknown := chosen - {*cases.PYTHON, "browser"}:
        parser.error(f"no such SDK: {', '.join(sorted(unknown))}")
    started, table = time.monotonic(), Table()
    logs, missing = eventlog.real(options.logs)
    for name in missing:
        table.skip("log", name, f"it is not in {options.logs}" if options.logs else "--logs names no folder")
    if "browser" in chosen and not os.path.exists(CHROMIUM):
        table.skip("browser", "all pages", f"{CHROMIUM} is missing")
        chosen.remove("browser")
    for sdk, forms in cases.PYTHON.items():
        if sdk in chosen and "gzip" not in forms:
            table.skip(sdk, "gzip", "this SDK does not compress")
    some, kills = cases.plan(logs, options.short, chosen, random.Random(options.seed))
    with tempfile.TemporaryDirectory(prefix="sluice-sdks-") as directory, Cluster(directory) as cluster:
        suite = Suite(options.seed, cluster, directory, table)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, suite.leave)
        suite.run(some)
        suite.run_kill(kills)
        for name, log in cluster.ended():
            table.fail("cluster", name, "it ended by itself: " + log)
    print(
        f"{table.passed + table.failed} cases, {table.failed} failed, {table.skipped} skipped; seed {options.seed}, "
        f"{time.monotonic() - started:.0f} s")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
