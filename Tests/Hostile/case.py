"""One attempt: its cluster, the honest callers beside it, what was seen, and the verdict."""

import contextlib
import inspect
import json
import os
import subprocess
import sys
import threading
import time

import servers
from rows import client, funnel_events, send
from servers import ADMIN, READ, WRITE, Memory, Up, ask, note

ATTEMPTS = []


def attempt(name, title, awaited=None):
    """Registers a function of one Case. `awaited` names what is still to be built: such an attempt may fail."""
    def register(function):
        ATTEMPTS.append((name, title, awaited, function))
        return function
    return register


class Case:
    QUIET_LEAST_MS, QUIET_TIMES = 100, 3

    def __init__(self, name, title, awaited, function, options, folder):
        self.name, self.title, self.awaited, self.function = name, title, awaited, function
        self.options, self.folder = options, folder
        self.finding = inspect.getdoc(function)
        self.cluster = self.honest = self.memory = None
        self.quiet = self.during = None
        self.checks, self.words, self.clusters = [], [], []
        self.may_restart = self.rested = False
        self.stopping, self.callers = threading.Event(), []
        os.makedirs(folder)

    # ------------------------------------------------------------------------------------------------ for attempts

    def pick(self, full, short):
        return full if self.options.size == "full" else short

    @property
    def seconds(self):
        """How long an attack that has no size of its own goes on."""
        return self.pick(30, 6)

    def path(self, name):
        return os.path.join(self.folder, name)

    def say(self, text):
        self.words.append(text)
        note(f"{self.name}: {text}")

    def check(self, what, good, detail=""):
        self.checks.append({"what": what, "good": bool(good), "detail": str(detail)})
        note(f"{self.name}: {'ok  ' if good else 'FAIL'} {what}{': ' + str(detail) if str(detail) else ''}")

    def keep(self, cluster):
        """To be stopped at the end, whatever happens."""
        self.clusters.append(cluster)
        return cluster

    def up(self, honest=True, users=45_000, **more):
        """A cluster with the honest project's events in it, 100,000 by default, and its callers."""
        self.cluster = self.keep(Up(self.path("cluster"), **more))
        if honest:
            with self.client(2) as writer:
                send(writer, funnel_events(self.pick(users, users // 3)))
        self.memory = Memory(self.cluster.pids)
        if honest:
            command = [sys.executable, os.path.join(servers.HERE, "honest.py")]
            command += [self.cluster.ingest, self.cluster.coordinator, self.cluster.coordinator_wire]
            command += [servers.members.CERTIFICATE] if servers.members.CERTIFICATE else []
            self.honest = servers.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.cluster

    def client(self, project, role="write", timeout=60.0):
        address = self.cluster.coordinator_wire if role == "read" else self.cluster.ingest_wire
        return client(address, {"write": WRITE, "read": READ, "admin": ADMIN}[role][project], timeout)

    def post_events(self, project, body, headers=(), timeout=60, key=None):
        return ask(self.cluster.ingest, "/v1/events", body, key or WRITE[project], headers=headers, timeout=timeout)

    def query(self, project, body, path="/v1/query", timeout=60):
        """(status, answer, seconds)"""
        started = time.monotonic()
        status, answer, _ = ask(self.cluster.coordinator, path, body, READ[project], timeout=timeout)
        try:
            document = json.loads(answer)
        except ValueError:
            document = {"text": answer[:300].decode("utf-8", "replace")}
        return status, document, time.monotonic() - started

    def count(self, project, *steps, **more):
        status, answer, _ = self.query(project, {"funnel": {"steps": list(steps), **more}})
        if status != 200:
            raise RuntimeError(f"query: {status} {answer}"[:500])
        return [step["count"] for step in answer["steps"]]

    def copies(self, project, name, most=3):
        """How often the same event is stored: steps that repeat it, flexible, need as many events as steps."""
        return sum(1 for n in self.count(project, *[name] * most, conversion_order={"flexible": {"limit": "1s"}}) if n)

    def metrics(self, name):
        where = {"ingest": self.cluster.ingest, "coordinator": self.cluster.coordinator}
        return servers.metrics(where.get(name) or self.cluster.shard(int(name[6:])))

    def settle(self, most=60):
        """Waits until the members have nothing left to do from the preparation."""
        deadline = time.monotonic() + most
        while time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(1)
            if self.cpu() - before < 0.1:
                return

    def cpu(self, *names):
        return sum(servers.cpu_seconds(pid) for name, pid in self.cluster.pids().items() if not names or name in names)

    def threads(self, count, work, *arguments):
        """Starts `work(number, ...)` on so many threads."""
        def run(number):
            try:
                work(number, *arguments)
            except Exception as error:  # an attacker that is thrown out is no fault
                note(f"{self.name}: attacker {number}: {error!r}"[:200])
        started = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
        for thread in started:
            thread.start()
        return started

    def repeat(self, count, work):
        """As `threads`; each works over and over."""
        def run(number):
            while not self.stopping.is_set():
                work(number)
        return self.threads(count, run)

    def join(self, threads, most=120):
        deadline = time.monotonic() + most
        for thread in threads:
            thread.join(max(0.01, deadline - time.monotonic()))

    @contextlib.contextmanager
    def attack(self, judged=True, apart=()):
        """What happens inside is the attack: the quiet figures are taken just before. `apart`: kinds of callers that it must harm."""
        self.phase("quiet")
        time.sleep(self.pick(10, 3))
        self.quiet = self.phase("attack")
        try:
            yield
        finally:
            self.stopping.set()
            self.during = self.phase("after")
        if not judged or not self.honest:
            return
        for kind in {"query", "append", "wire"} - set(apart):
            before, now = self.quiet.get(kind), self.during.get(kind)
            most = max(self.QUIET_TIMES * before["p99"], self.QUIET_LEAST_MS) if before else self.QUIET_LEAST_MS
            self.check(f"{kind} p99 at most {most:.0f} ms", now and now["p99"] <= most, f"{now['p99'] if now else 'none'} ms")
            if faults := self.during["faults"].get(kind):
                self.check(f"no {kind} fails", False, faults)

    def phase(self, name):
        if self.memory:
            self.memory.phase(name)
        return self._tell("phase " + name)

    # -------------------------------------------------------------------------------------------------- for the runner

    def _tell(self, line):
        if not self.honest:
            return {"faults": {}}
        self.honest.stdin.write(line + "\n")
        self.honest.stdin.flush()
        return json.loads(self.honest.stdout.readline())

    def run(self):
        started = time.monotonic()
        thread = threading.Thread(target=self._run)
        thread.start()
        thread.join()
        self.taken = time.monotonic() - started

    def _run(self):
        # What else the machine had to do says how far the figures can be trusted.
        self.load = os.getloadavg()[0]
        # Attackers have machines of their own; here they share the cores with those whom they attack. Threads inherit this.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        try:
            self.function(self)
            if not self.rested:
                self.judge_rest()
        except Exception as error:
            import traceback
            traceback.print_exc()
            self.check("the attempt runs to its end", False, repr(error)[:500])
        finally:
            self.stopping.set()
            if self.honest and self.honest.poll() is None:
                self.honest.kill()
            if self.memory:
                self.memory.close()
            for cluster in self.clusters:
                try:
                    taken = cluster.stop()
                    for seconds in taken if isinstance(taken, list) else [taken]:
                        # Calls that still run are waited for, ten seconds at most.
                        if seconds is None or seconds > 15:
                            self.check("SIGTERM ends it within 15 s", False, "killed after 30 s" if seconds is None else f"{seconds:.1f} s")
                except Exception as error:
                    self.check("the cluster stops", False, repr(error))
        if not self.options.keep:
            servers.remove(self.folder)

    def judge_rest(self):
        """Lets everything rest, then looks at what stayed and whether all is counted. An attempt that ends its cluster does it before."""
        self.rested = True
        if not self.memory:
            return
        if self.honest:
            rest = self.options.after if self.options.after is not None else self.pick(60, 3)
            # The last requests are acknowledged, and then nobody asks for anything: what stays, stays.
            self.phase("rest")
            time.sleep(rest)
            self.phase("end")
            time.sleep(0.3)
            told = self._tell("stop")
            counted = self.count(2, "Beat")[0]
            self.check("honest events acknowledged = counted", counted == told["acknowledged"] and not told["open"],
                       f"{told['acknowledged']:,} and {counted:,}" + (f", {told['open']} open" if told["open"] else ""))
            twice = self.count(2, "Beat", "Beat", conversion_order={"flexible": {"limit": "1s"}})[1]
            self.check("none of them twice", twice == 0, twice)
        if not self.may_restart and self.cluster:
            self.check("no member died", not self.cluster.restarts(), ", ".join(self.cluster.restarts()))

    @property
    def good(self):
        return bool(self.checks) and all(check["good"] for check in self.checks)

    def result(self):
        peaks = self.memory.peaks if self.memory else {}
        return {"name": self.name, "title": self.title, "finding": self.finding, "awaited": self.awaited,
                "verdict": "ok" if self.good else "awaited" if self.awaited else "FAIL", "quiet": self.quiet,
                "during": self.during, "memory_mib": {phase: {k: round(v) for k, v in of.items()} for phase, of in peaks.items()},
                "outcome": self.words, "checks": self.checks, "seconds": round(self.taken), "load_before": round(self.load, 1)}
