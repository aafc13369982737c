#!/usr/bin/env python3
"""kill -9 and SIGSTOP of every program at random, under load, with a ledger: is what was acknowledged counted, and once?

    HOSTILE_PROGRAM=ledger.py run.sh --kills 500 --stops 100 --seed 1          (about 20 minutes)
    HOSTILE_PROGRAM=ledger.py run.sh --kills 20 --stops 2                      (about a minute)

Single programs (ingest, two shards, the coordinator) without a supervisor, so that the pauses before a restart are ours to
choose: from none to two seconds, and so are those before the next kill, which often meets a program that has just started, or is
stopped. Shards seal every 5,000 rows: kills meet seals and merges too. Three senders use HTTP and an Idempotency-Key a request, one
the wire and its producer and sequence. Each has one request open, with a random patience that is often shorter than a stop, and sends
the same bytes again until they are acknowledged: the first sending may then still be on its way. A reader counts all the while: an
answer must have at least what was acknowledged before it was asked, and at most what was sent when it came.

At the end: acknowledged = counted by sender, nothing twice; then a clean stop, `sluice verify`, a start, and the same again. The exit
status is 1 where anything differs, and the seed is told.
"""

import argparse
import gzip
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import servers
import wire
from rows import DAY, Client, SluiceError, event, now_us
from servers import READ, WRITE, Members, ask, note, send_signal


class Sender(threading.Thread):
    """Sends batches of events of its own name; every event has a user of its own."""

    def __init__(self, number, cluster, seed, ended):
        super().__init__(daemon=True)
        self.number, self.cluster, self.ended = number, cluster, ended
        self.name_of_events, self.draw = f"L{number}", random.Random(seed * 100 + number)
        self.acknowledged = self.sent = self.batches = self.repeats = 0
        self.sizes, self.faults, self.open = [], {}, False

    def fault(self, text):
        if text not in self.faults:
            note(f"sender {self.number}: FAULT {text}")
        self.faults[text] = self.faults.get(text, 0) + 1

    def events(self):
        """The next batch. Some events are months old, so that several segments are written at once."""
        count, now = self.draw.choice((1, 3, 20, 100, 400)), now_us()
        return [event(f"{self.number}-{self.batches}-{n}", self.name_of_events, now - self.draw.randrange(4) * 31 * DAY, v=n)
                for n in range(count)]

    def run(self):
        while not self.ended.is_set():
            self.batches += 1
            events = self.events()
            self.sizes.append(len(events))
            self.sent += len(events)
            self.open, attempt = True, self.prepare(events)
            while not attempt():
                self.repeats += 1
                time.sleep(self.draw.uniform(0.02, 0.4))
            self.acknowledged += len(events)
            self.open = False
            time.sleep(self.draw.uniform(0, 0.06))

    def patience(self):
        return self.draw.choice((1.5, 4, 15))


class HttpSender(Sender):
    connection = None

    def prepare(self, events):
        rows = [{"user_id": one["user"], "event": one["event"], "timestamp": one["microseconds"], "properties": one["properties"]}
                for one in events]
        body, headers = json.dumps(rows).encode(), {"Authorization": "Bearer " + WRITE[1], "Content-Type": "application/json"}
        if self.draw.random() < 0.3:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        headers["Idempotency-Key"] = f"ledger-{self.number}-{self.batches}"

        def attempt():
            if self.connection is None:
                host, port = self.cluster.ingest.rsplit(":", 1)
                self.connection = http.client.HTTPConnection(host, int(port), timeout=self.patience())
            try:
                self.connection.request("POST", "/v1/events", body, headers)
                response = self.connection.getresponse()
                status, answer = response.status, response.read()
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                return False
            if status == 200:
                told = json.loads(answer)
                if told.get("rejected") or told["accepted"] != len(events):
                    self.fault(f"200, but of {len(events)} events {told}"[:200])
                    return False
                return True
            if status != 503:
                self.fault(f"{status} {answer[:160]!r}")
            return False

        return attempt


class WireSender(Sender):
    client = None

    def prepare(self, events):
        self.producer = getattr(self, "producer", self.draw.getrandbits(64))
        body = wire.encode_append(self.producer, self.batches, events)

        def attempt():
            if self.client is None:
                self.client = Client(self.cluster.ingest_wire, WRITE[1], timeout=self.patience())
            try:
                answer, _ = self.client._one("append", wire.APPEND, body, wire.APPEND_RESULT)
                told = wire.decode_append_result(answer)
            except SluiceError as error:
                self.client.close()
                self.client = None
                if not error.retryable:
                    self.fault(f"wire: {error}"[:200])
                return False
            if told["rejected"]:
                self.fault(f"wire: {told}"[:200])
            return told["accepted"] == len(events) and not told["retry"]

        return attempt


class Reader(threading.Thread):
    """Counts while everything falls and rises."""

    def __init__(self, cluster, senders, ended):
        super().__init__(daemon=True)
        self.cluster, self.senders, self.ended = cluster, senders, ended
        self.asked = self.answered = self.wrong = 0
        self.refusals = {}

    def run(self):
        while not self.ended.is_set():
            self.asked += 1
            sender = self.senders[self.asked % len(self.senders)]
            least = sender.acknowledged
            status, answer, _ = ask(self.cluster.coordinator, "/v1/query", {"funnel": {"steps": [sender.name_of_events]}}, READ[1], timeout=15)
            if status == 200:
                count, most = json.loads(answer)["entered"], sender.sent
                self.answered += 1
                if not least <= count <= most:
                    self.wrong += 1
                    note(f"reader: FAULT {sender.name_of_events}: {count:,} counted, at least {least:,} acknowledged, at most {most:,} sent")
            else:
                self.refusals[status] = self.refusals.get(status, 0) + 1
            time.sleep(0.25)


class Hand:
    """Kills and stops; a lock a program, so that each is started once."""

    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.locks = {name: threading.Lock() for name in cluster.names}
        self.kills, self.stops, self.stopped, self.faults = {}, {}, {}, []
        self.seconds = max(options.stops * (options.stop_seconds + 1.5), options.kills * 2.2)

    def kill(self):
        draw, started = random.Random(self.options.seed * 7 + 1), time.monotonic()
        for number in range(self.options.kills):
            name = draw.choice(self.cluster.names)
            with self.locks[name]:
                process = self.cluster.processes[name]
                if process.poll() is not None:
                    # It ended by itself: that is a fault, whatever it says.
                    self.faults.append(f"{name} ended by itself with {process.returncode}")
                    note(f"FAULT {self.faults[-1]}: {self.cluster.log(name)[-300:]}")
                process.kill()
                process.wait()
                self.kills[name] = self.kills.get(name, 0) + 1
                time.sleep(draw.choice((0, 0, 0.1, 0.5, 1, 2)))
                self.cluster.start(name)
            due = started + self.seconds * (number + draw.uniform(0.5, 1.5)) / self.options.kills
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        draw = random.Random(self.options.seed * 7 + 2)
        for _ in range(self.options.stops):
            name = draw.choice(self.cluster.names)
            with self.locks[name]:
                process = self.cluster.processes[name]
                if process.poll() is None:
                    send_signal(process.pid, signal.SIGSTOP)
                    self.stops[name] = self.stops.get(name, 0) + 1
                    self.stopped[name] = process
            time.sleep(self.options.stop_seconds)
            with self.locks[name]:
                if process.poll() is None:  # it may have been killed meanwhile
                    send_signal(process.pid, signal.SIGCONT)
                self.stopped.pop(name, None)
            time.sleep(draw.uniform(0.5, 2.5))


def missing(cluster, sender):
    """Which batches of a sender are not whole, by the list of users."""
    with Client(cluster.coordinator_wire, READ[1], timeout=60) as one:
        seen = {}
        for user in one.all_users({"funnel": {"steps": [sender.name_of_events]}, "step": 1}):
            seen[int(user.split("-")[1])] = seen.get(int(user.split("-")[1]), 0) + 1
    wrong = [(number, seen.get(number, 0), size) for number, size in enumerate(sender.sizes, 1) if seen.get(number, 0) != size]
    return f"{len(wrong)} batches, such as {[f'batch {n}: {have} of {size}' for n, have, size in wrong[:5]]}"


def compare(cluster, senders, when):
    """Counts of each sender against its ledger, and whether anything is there twice."""
    good = True
    for sender in senders:
        name, answers = sender.name_of_events, []
        for funnel in ({"steps": [name]}, {"steps": [name, name], "conversion_order": {"flexible": {"limit": "1s"}}}):
            status, answer = 0, b""
            for _ in range(60):
                status, answer, _ = ask(cluster.coordinator, "/v1/query", {"funnel": funnel}, READ[1], timeout=60)
                if status == 200:
                    break
                time.sleep(0.5)
            if status != 200:
                note(f"{when}: FAULT {name} can't be counted: {status} {answer[:200]!r}")
                return False
            answers.append(json.loads(answer))
        counted, twice = answers[0]["entered"], answers[1]["converted"]
        same = counted == sender.acknowledged and twice == 0
        note(f"{when}: {name}: acknowledged {sender.acknowledged:,}, counted {counted:,}, twice {twice}{'' if same else '  FAULT'}")
        if counted != sender.acknowledged:
            note(f"{when}: {name}: {missing(cluster, sender)}")
        good = good and same
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--stops", type=int, default=100)
    parser.add_argument("--stop-seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seal-rows", type=int, default=5_000)
    parser.add_argument("--keep", action="store_true", help="leave the data directories and logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="sluice-ledger-")
    cluster = Members(os.path.join(folder, "members"), seal_rows=options.seal_rows)
    ended, started, good = threading.Event(), time.monotonic(), False
    try:
        cluster.start_all()
        senders = [HttpSender(n, cluster, options.seed, ended) for n in range(3)] + [WireSender(3, cluster, options.seed, ended)]
        reader, hand = Reader(cluster, senders, ended), Hand(cluster, options)
        note(f"{options.kills} kills and {options.stops} stops of {options.stop_seconds:.0f} s, about {hand.seconds / 60:.0f} minutes, "
             f"seed {options.seed}, {folder}")
        hands = [threading.Thread(target=work, daemon=True) for work in (hand.kill, hand.stop)]
        for thread in senders + [reader] + hands:
            thread.start()

        def progress():
            note(f"{time.monotonic() - started:.0f} s: {sum(hand.kills.values())} kills, {sum(hand.stops.values())} stops"
                 f"{' (' + ', '.join(list(hand.stopped)) + ' stopped now)' if hand.stopped else ''}; acknowledged "
                 f"{' '.join(f'{s.acknowledged:,}' for s in senders)}; repeats {sum(s.repeats for s in senders):,}; "
                 f"reader {reader.answered} of {reader.asked} answered")

        while any(thread.is_alive() for thread in hands):
            time.sleep(5)
            progress()
        cluster.wait_ready(60)
        ended.set()
        deadline = time.monotonic() + 120
        while any(sender.is_alive() for sender in senders) and time.monotonic() < deadline:
            time.sleep(0.1)
        progress()
        late = [sender.number for sender in senders if sender.is_alive()]
        if late:
            note(f"FAULT senders {late} still wait for an acknowledgement two minutes after all is well")
        good = compare(cluster, senders, "after the kills") and not late and not reader.wrong and not hand.faults
        good = good and not any(sender.faults for sender in senders)
        ends = cluster.stop()
        if None in ends:
            note("FAULT a program did not end in 30 s after SIGTERM")
            good = False
        for number in range(cluster.count):
            done = subprocess.run([servers.program("sluice"), "verify", os.path.join(cluster.data, f"shard-{number}")],
                                  capture_output=True, text=True, timeout=600)
            note(f"verify of shard {number}: {done.returncode} {(done.stdout + done.stderr).strip()[-200:]}")
            good = good and done.returncode == 0
        cluster.start_all(60)
        good = compare(cluster, senders, "after a clean stop and a start") and good
        print(f"{'ok' if good else 'FAIL'}: seed {options.seed}, {sum(hand.kills.values())} kills {hand.kills}, "
              f"{sum(hand.stops.values())} stops of {options.stop_seconds:.0f} s {hand.stops}, {time.monotonic() - started:.0f} s; "
              f"{sum(s.batches for s in senders):,} requests, {sum(s.repeats for s in senders):,} repeats, "
              f"{sum(s.acknowledged for s in senders):,} events acknowledged; {reader.answered:,} answers on the way, {reader.wrong} wrong")
        for sender in senders:
            for text, count in sender.faults.items():
                print(f"sender {sender.number}: {count} times {text}")
    finally:
        ended.set()
        cluster.stop()
        if good and not options.keep:
            servers.remove(folder)
        else:
            note(f"data and logs are in {folder}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
