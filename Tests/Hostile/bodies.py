#!/usr/bin/env python3
"""Random and mutated bodies for every endpoint of ingest that takes events.

    bodies.py --count 300 --seed 1             300 bodies an endpoint, about 10 seconds
    bodies.py --count 100000 --only posthog    more, of the endpoints whose title or path has this

Bodies of one sample each (bodies_samples.py) are sent over a few connections that stay open, several at a time, under project 1. Every
one must be answered, by no 5xx but 503, and by JSON where the SDK reads JSON. Between them events of project 2 come through the same
endpoints, which must all count once. Ingest must not end, and its memory must not grow after the first fifth. A request that fails is
left in the folder of --out. The programs are those of SLUICE_PROGRAMS, or .build/release.
"""

import argparse
import collections
import gzip
import json
import multiprocessing
import os
import random
import re
import socket
import sys
import tempfile
import time
import zlib

import servers
from bodies_samples import SAMPLES
from servers import READ, WRITE, Up, ask

# Requests on their way at a time on one connection, and connections of a process: each waits for the disk, and ingest joins what comes
# at the same time.
AT_ONCE, CONNECTIONS = 8, 32
# MiB that ingest may grow by after the first fifth: buffers of bodies that happen to be large at the same time.
GROWTH = 64
HEAD = re.compile(rb"HTTP/1\.1 (\d+)[^\r]*\r\n(.*?\r\n)\r\n", re.S)
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)

PIECES = [piece.encode("latin-1") if isinstance(piece, str) else piece for piece in (
    "NaN", "-Infinity", "null", "true", "{", "}", "[", "]", '"', "\\", ",", ":", "%", "%zz", "&", "=", "+", "\0", "1e999", "-0",
    "\\ud800", "\\u0000", "99999999999999999999", "0.1e-400", "$set", "$identify", "\r\n", "\xff", "\xc3\x28", "\xed\xa0\x80",
    "\xef\xbb\xbf", "[" * 200, '{"a":' * 40, "a" * 300, "9" * 400, "\xf0\x9f\x98\x80", '"":1,', "data=", "iglu:", "2026-01-01",
    "9999-12-31T23:59:59Z")]
VALUES = [None, True, False, 0, -1, 1.5, 1e300, -1e-300, 10**18, 10**30, "", "0", "a" * 5_000, "\ud800", "\0", "é" * 600, [], {}, [[]],
          {"": 1}, {"a": {"a": {"a": {"a": {}}}}}, [1] * 200, {str(n): n for n in range(300)}, "2026-01-01", "9999-12-31T23:59:59Z",
          -(10**15), 1e20]
FIELDS = [["Content-Type: text/plain"], ["Content-Type: application/x-www-form-urlencoded"], ["Content-Type: application/x-ndjson"], [],
          ["Content-Type: application/cloudevents-batch+json"], ["Content-Type: application/cloudevents+xml"], ["Content-Type: \xe9"],
          ["Content-Encoding: br"], ["Content-Encoding: gzip, gzip"], ["Content-Encoding: identity"], ["Content-Encoding: zstd"],
          ["ce-specversion: 1.0", "ce-id: %zz", "ce-type: %ff", "ce-source: "], ["ce-specversion: 9", "ce-subject: " + "s" * 2_000],
          ["Origin: https://other.example"], ["Idempotency-Key: " + "k" * 300], ["Idempotency-Key: k"], ["X-Request-Id: \xff"]]
QUERIES = ["compression=gzip-js", "compression=base64", "compression=", "strict=1&verbose=1", "img=1", "verbose=1&data=%zz", "data=e30=",
           "a=%", "&&&==", "ip=1&_=1767261600", "x=" + "y" * 3_000, "%00=%ff", "strict=0"]


# ------------------------------------------------------------------------------------------------------------- mutation

def damage(data, first, chance):
    """Bytes with one to four faults behind `first`."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(first, len(data) + 1) if len(data) >= first else len(data)
        end = min(len(data), at + chance.randrange(12))
        kind = chance.randrange(7)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = chance.choice(PIECES)
        elif kind == 3:
            data[at:end] = chance.choice(PIECES)
        elif kind == 4:
            data[at:at] = data[max(first, at - 60):at] * chance.randrange(1, 4)
        elif kind == 5 and chance.random() < 0.2:
            del data[at:]
        elif at < len(data):
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def exchange(value, chance, depth=0):
    """A copy of a JSON value in which one member, far or near, is another value."""
    if chance.random() < 0.15 or depth > 6:
        return chance.choice(VALUES)
    if isinstance(value, dict) and value:
        name = chance.choice(list(value))
        kind = chance.random()
        if kind < 0.1:
            return {key: one for key, one in value.items() if key != name}
        if kind < 0.2:
            return {**value, chance.choice(("$set", "event", "", "user_id", "properties", "time", "é")): chance.choice(VALUES)}
        return {**value, name: exchange(value[name], chance, depth + 1)}
    if isinstance(value, list) and value:
        if chance.random() < 0.1:
            return value * chance.randrange(2, 40)
        place = chance.randrange(len(value))
        return [*value[:place], exchange(value[place], chance, depth + 1), *value[place + 1:]]
    return chance.choice(VALUES)


class Maker:
    """Requests of one sample."""

    def __init__(self, sample, chance):
        self.sample, self.chance = sample, chance
        self.text, self.first = sample.filled(WRITE[1]).encode(), sample.protected(WRITE[1])
        try:
            self.value = json.loads(self.text)
        except ValueError:
            self.value = None  # lines, or fields of a form

    def request(self):
        sample, chance = self.sample, self.chance
        text, kind, wraps = self.text, chance.random(), True
        if kind < 0.3 and isinstance(self.value, (dict, list)):
            value = exchange(self.value, chance, -1)
            if self.first and isinstance(value, dict):
                keyed = next(iter(self.value))
                value = {keyed: self.value[keyed], **{name: one for name, one in value.items() if name != keyed}}
            text = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        elif kind < 0.33:
            text = self.text[:self.first] + chance.randbytes(chance.randrange(400))
        elif kind < 0.36:
            text = self.text[:chance.randrange(self.first, len(self.text))]
        else:
            text = damage(text, self.first, chance)
            wraps = chance.random() < 0.7
        query = fields = None
        if chance.random() < 0.1:
            query = chance.choice(QUERIES)
        if chance.random() < 0.1:
            fields = sample.own_fields()[1:] + chance.choice(FIELDS)
        if chance.random() < 0.08 and sample.method == "POST":
            packed = gzip.compress(text, 1) if chance.random() < 0.7 else zlib.compress(text, 1)
            packed = damage(packed, 0, chance) if chance.random() < 0.5 else packed
            fields = sample.own_fields() + ["Content-Encoding: " + chance.choice(("gzip", "gzip", "deflate"))]
            return sample.raw(packed, WRITE[1], query, fields)
        # What is not in its form is damaged there: percent signs, base64, and what they stand in.
        return sample.request(text, WRITE[1], query, fields) if wraps or sample.method != "POST" else \
            sample.raw(text, WRITE[1], query, fields)


# ------------------------------------------------------------------------------------------------------------ connections

class Line:
    """A connection that sends several requests at a time, and is opened anew when it is closed."""

    def __init__(self, address, source):
        self.address, self.source, self.socket, self.requests = address, source, None, []

    def _open(self):
        host, port = self.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 60, (self.source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def start(self, requests):
        """Sends them; `finish` gets their answers."""
        self.requests = requests
        try:
            if self.socket is None:
                self._open()
            self.socket.sendall(b"".join(requests))
        except OSError:
            pass  # answers may have come before the other side closed

    def finish(self, is_head=False):
        """(status, body) of each; status 0 for one that was not answered on three connections."""
        answers, fruitless, requests = [], 0, self.requests
        while len(answers) < len(requests):
            before = len(answers)
            try:
                self._read(answers, len(requests), is_head)
            except OSError:
                self.close()
            fruitless = fruitless + 1 if len(answers) == before else 0
            if fruitless == 3:
                answers.append((0, b"closed without an answer"))
                fruitless = 0
            if len(answers) < len(requests):
                self.start(requests[len(answers):])
        return answers

    def ask(self, request, is_head=False):
        self.start([request])
        return self.finish(is_head)[0]

    def _read(self, answers, count, is_head):
        data, at = b"", 0
        if self.socket is None:
            return
        while len(answers) < count:
            found = HEAD.match(data, at)
            size = LENGTH.search(found[2]) if found else None
            length = 0 if is_head or not size else int(size[1])
            if found and len(data) >= found.end() + length:
                answers.append((int(found[1]), data[found.end():found.end() + length]))
                at = found.end() + length
                if b"onnection: close" in found[2]:
                    return self.close()
                continue
            part = self.socket.recv(1 << 18)
            if not part:
                return self.close()
            data, at = data[at:] + part, 0


# -------------------------------------------------------------------------------------------------------------- a process

class Tally:
    def __init__(self):
        self.sent, self.statuses, self.honest, self.seconds, self.faults = 0, collections.Counter(), 0, 0.0, []


def fault_of(sample, status, body):
    """What is wrong with an answer; None for nothing."""
    if status == 0:
        return "not answered"
    if status >= 500 and status != 503:
        return f"{status}"
    if sample.json and status != 304 and not body.startswith(b"GIF8"):
        try:
            json.loads(body)
        except ValueError:
            return f"{status}, and not JSON: {body[:60]!r}"
    return None


def work(number, address, options, numbers, results):
    """Sends the bodies of some samples, one sample after the other."""
    lines = [Line(address, f"127.0.{number + 2}.{n + 1}") for n in range(CONNECTIONS)]
    honest = Line(address, f"127.0.{number + 2}.99")
    for place in numbers:
        sample, tally, begun = SAMPLES[place], Tally(), time.monotonic()
        chance = random.Random(f"{options.seed} {place}")
        maker, is_head, left = Maker(sample, chance), sample.method == "HEAD", options.count
        while left:
            asked = []
            for line in lines:
                some = [maker.request() for _ in range(min(AT_ONCE, left))]
                left -= len(some)
                line.start(some)
                asked.append((line, some))
            for line, some in asked:
                for request, (status, body) in zip(some, line.finish(is_head)):
                    tally.statuses[status] += 1
                    if fault := fault_of(sample, status, body):
                        tally.faults.append(fault)
                        keep(options.out, f"{place}-{len(tally.faults)}", request if len(tally.faults) <= 20 else None)
                tally.sent += len(some)
            if sample.counts:
                tally.honest += send_honest(honest, sample, place, tally.honest, is_head)
        tally.seconds = time.monotonic() - begun
        results.put((place, tally))
    for line in (*lines, honest):
        line.close()


def send_honest(line, sample, place, number, is_head):
    """An event of project 2, until it is stored."""
    text = sample.filled(WRITE[2], f"honest-{number}", f"Honest_{place}", f"honest-{place}-{number}").encode()
    request, deadline = sample.request(text, WRITE[2]), time.monotonic() + 60
    while time.monotonic() < deadline:
        status, _ = line.ask(request, is_head)
        if status == 200:
            return 1
        if status != 503:
            raise RuntimeError(f"{sample.title} {sample.path}: a good request is answered {status}")
        time.sleep(0.1)
    raise RuntimeError(f"{sample.title} {sample.path}: a good request is not taken for 60 s")


def keep(folder, name, request):
    if request is not None:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"request-{name}.bin"), "wb") as file:
            file.write(request)


def runner(number, address, options, numbers, results):
    try:
        work(number, address, options, numbers, results)
        results.put((None, None))
    except Exception as error:  # the run ends with it
        results.put((None, f"process {number}: {error!r}"[:500]))


# ---------------------------------------------------------------------------------------------------------------- the run

class Run:
    def __init__(self, cluster, options, numbers):
        self.cluster, self.options, self.numbers = cluster, options, numbers
        self.pid, self.wrong, self.total = cluster.pids()["ingest"], [], 0

    def memory(self):
        return {name: servers.status_field(pid, "RssAnon") / 1024 for name, pid in self.cluster.pids().items()}

    def send(self):
        context, begun = multiprocessing.get_context("fork"), time.monotonic()
        results, count = context.Queue(), min(self.options.processes, len(self.numbers))
        shares = [(n, self.cluster.ingest, self.options, self.numbers[n::count], results) for n in range(count)]
        processes = [context.Process(target=runner, args=share, daemon=True) for share in shares]
        for process in processes:
            process.start()
        warm, done, honest = None, 0, {}
        print(f"{'endpoint':48} {'bodies':>8} {'a second':>9} {'honest':>7} {'ingest MiB':>10}  answers", flush=True)
        while count:
            place, tally = results.get()
            if place is None:
                count -= 1
                self.wrong += [tally] if tally else []
                continue
            done, honest[place] = done + 1, tally.honest
            now = self.memory()
            self.tell(SAMPLES[place], tally, now)
            if warm is None and done * 5 >= len(self.numbers):
                warm = now
        for process in processes:
            process.join(10)
        print(f"{self.total:,} bodies in {time.monotonic() - begun:.0f} s, {self.total / (time.monotonic() - begun):,.0f} a second")
        return warm or self.memory(), honest

    def tell(self, sample, tally, memory):
        self.total += tally.sent
        statuses = ", ".join(f"{status} {count:,}" for status, count in sorted(tally.statuses.items()))
        name = f"{sample.title} {sample.method} {sample.path}"
        rate = tally.sent / max(0.001, tally.seconds)
        print(f"{name:48} {tally.sent:>8,} {rate:>9,.0f} {tally.honest:>7,} {memory.get('ingest', 0):>10.0f}  {statuses}", flush=True)
        if tally.faults:
            kinds = collections.Counter(tally.faults).most_common(3)
            self.wrong.append(f"{name}: {len(tally.faults)} bad answers, such as {kinds}")

    def count(self, steps, **more):
        body = {"funnel": {"steps": steps, "window_duration": "30d", **more}}
        status, answer, _ = ask(self.cluster.coordinator, "/v1/query", body, READ[2], timeout=60)
        if status != 200:
            raise RuntimeError(f"query: {status} {answer[:300]}")
        return [step["count"] for step in json.loads(answer)["steps"]]

    def judge(self, warm, honest):
        for place, sent in honest.items():
            if not SAMPLES[place].counts:
                continue
            name = f"Honest_{place}"
            users, twice = self.count([name, name], conversion_order={"flexible": {"limit": "1s"}})
            if users != sent or twice:
                self.wrong.append(f"{SAMPLES[place].title} {SAMPLES[place].path}: {sent} honest events, {users} users, {twice} twice")
        now = self.memory()
        print("memory in MiB after a fifth, and at the end: "
              + ", ".join(f"{name} {warm.get(name, 0):.0f}, {now.get(name, 0):.0f}" for name in sorted(now)))
        if now.get("ingest", 0) - warm.get("ingest", 0) > GROWTH:
            self.wrong.append(f"ingest grew from {warm['ingest']:.0f} to {now['ingest']:.0f} MiB; {GROWTH} more are allowed")
        if self.cluster.restarts() or self.cluster.pids()["ingest"] != self.pid:
            self.wrong.append(f"ended and started again: {', '.join(self.cluster.restarts())}")


def check_samples(cluster):
    """Each as it is must be taken: else its mutations would test little."""
    for sample in SAMPLES:
        text = sample.filled(WRITE[1]).encode()
        line = Line(cluster.ingest, "127.0.1.1")
        status, body = line.ask(sample.request(text, WRITE[1]), sample.method == "HEAD")
        line.close()
        told = body.replace(b" ", b"")
        if status != 200 or b'"rejected":[{' in told or b'"events_ingested":0' in told or b'"drop"' in told:
            raise RuntimeError(f"{sample.title} {sample.path}: the sample is answered {status} {body[:300]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="bodies of each endpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of the title, or of the path")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", default=os.path.join(servers.members.ROOT, ".build-hostile", "bodies"), help="folder for requests that fail")
    options = parser.parse_args()
    numbers = [n for n, sample in enumerate(SAMPLES) if options.only in f"{sample.title} {sample.method} {sample.path}"]
    if not numbers:
        parser.error(f"no endpoint has {options.only}")
    with tempfile.TemporaryDirectory(prefix="sluice-bodies-") as folder:
        cluster = Up(os.path.join(folder, "cluster"))
        try:
            check_samples(cluster)
            run = Run(cluster, options, numbers)
            run.judge(*run.send())
        finally:
            cluster.stop()
    print("\n".join(["FAILED", *run.wrong]) if run.wrong else f"ok: {len(numbers)} endpoints, seed {options.seed}")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
