"""Events from Kafka: a cluster whose ingest was built with the trait Kafka, on librdkafka's mock brokers (mock.c) in a process of their
own. Brokers go down and up, the consumer is killed, a shard is down, messages cannot be read: no event is lost, and none counts twice.

SLUICE_PROGRAMS is the directory of the programs. Usage: run.py [--short] [--seed N]"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "Processes"))

from members import Members, ask, clean_environment, free_port, program  # noqa: E402

TOPIC, PARTITIONS, POISONED = "shop.events", 8, "poison"
PASSWORD = "swordfish-of-kafka"
TIME = 1_767_225_600


def note(text):
    print(f"kafka: {text}", flush=True)


def wait_until(what, test, patience=120):
    """The first value of `test` that is true."""
    deadline = time.monotonic() + patience
    while True:
        found = test()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.1)


class Brokers:
    """Three mock brokers, spoken to by the input and output of mock.c."""

    def __init__(self, directory):
        binary = os.path.join(directory, "mock")
        subprocess.run(["cc", "-O1", "-Wall", "-o", binary, os.path.join(HERE, "mock.c"), "-lrdkafka"], check=True)
        self.log = open(os.path.join(directory, "mock.log"), "wb")
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.addresses = self.process.stdout.readline().decode().strip()
        self.sent = 0
        assert self.addresses, "the mock brokers did not start"

    def ask(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def do(self, line):
        answer = self.ask(line)
        assert answer == "ok", f"{line}: {answer!r}"

    def put(self, topic, partition, payload, headers=()):
        words = [f"{name}={value.encode().hex() if isinstance(value, str) else value.hex()}" for name, value in headers]
        self.process.stdin.write(f"put {topic} {partition} {payload.hex() or '-'} {' '.join(words)}".encode() + b"\n")
        self.sent += 1

    def flush(self):
        answer = self.ask("flush")
        assert answer == f"delivered {self.sent} failed 0", f"{answer}; {self.sent} were sent"

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()


class Messages:
    """Messages in every form. Each has one event Tick of a user of its own; `tocks` is the number of those that have a Tock too."""

    def __init__(self, brokers):
        self.brokers, self.count, self.tocks = brokers, 0, 0

    def put(self, count, partition=None):
        for _ in range(count):
            payload, headers, has_tock = form(self.count)
            self.brokers.put(TOPIC, self.count % PARTITIONS if partition is None else partition, payload, headers)
            self.count += 1
            self.tocks += has_tock
        self.brokers.flush()


def form(number):
    """Payload, headers, and whether there is a second event."""
    def event(name, **more):
        return {"user_id": f"k{number}", "event": name, "timestamp": TIME + number} | more

    def cloud(name, number_of_event):
        return {"specversion": "1.0", "type": name, "source": "/shop", "id": f"{number}.{number_of_event}",
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(TIME + number)), "data": {"user_id": f"k{number}", "price": 3}}

    def text(value):
        return json.dumps(value).encode()

    kind = number % 10
    if kind == 1:
        return text(event("Tick", event_id=f"own-{number}")), (), False
    if kind == 2:
        return text([event("Tick"), event("Tock")]), (), True
    if kind == 3:
        return text({"events": [event("Tick"), event("Tock")]}), (), True
    if kind == 4:
        return text(event("Tick")) + b"\r\n" + text(event("Tock")) + b"\n", (), True
    if kind == 5:
        return text(cloud("Tick", 0)), [("content-type", "application/cloudevents+json; charset=UTF-8")], False
    if kind == 6:
        return text([cloud("Tick", 0), cloud("Tock", 1)]), [("content-type", "application/cloudevents-batch+json")], True
    if kind == 7:
        whole = cloud("Tick", 0)
        names = ("specversion", "type", "source", "id", "time")
        return text(whole["data"]), [(f"ce_{name}", whole[name]) for name in names] + [("content-type", "application/json")], False
    if kind == 8:
        return json.dumps(event("Tick"), indent=2).encode(), [("other", b"\xff")], False
    return text(event("Tick", properties={"price": number % 100, "device": "phone"})), (), False


# Messages that have events to reject, each with the number of these.
POISON = [
    (b'{"user_id":', (), 1), (b"\xff\xfe\x00", (), 1), (b"[1,2", (), 1), (b"null", (), 1), (b"[[]]", (), 1),
    (b'{"user_id":"","event":"x","timestamp":1767225600}', (), 1), (b'{"user_id":"u","event":"x","timestamp":"soon"}', (), 1),
    (b'{"user_id":"u"}\n{"event":"x"}\n', (), 2), (b"{\n  \"user_id\": \"u\",\n", (), 1),
    (b'{"specversion":"1.0"}', [("content-type", "application/cloudevents+json")], 1),
    (b"{", [("content-type", "application/cloudevents+json")], 1), (b"x", [("content-type", "application/cloudevents+avro")], 1),
    (b"{}", [("ce_specversion", "1.0"), ("ce_type", b"\xff")], 1),
]
# Messages without events.
NOTHING = [b"", b" \n ", b"[]", b'{"events": []}']


class Run:
    def __init__(self, directory, brokers, options):
        self.brokers, self.draw = brokers, random.Random(options.seed)
        self.messages = Messages(brokers)
        config = os.path.join(directory, "kafka.properties")
        with open(config, "w") as file:
            file.write(f"# for the test\nsession.timeout.ms=6000\n\nheartbeat.interval.ms = 500\nsasl.password={PASSWORD}\n"
                       "reconnect.backoff.max.ms=1000\n")
        variables = clean_environment() | {
            "SLUICE_KAFKA_BROKERS": brokers.addresses, "SLUICE_KAFKA_TOPICS": f"{TOPIC},{POISONED}", "SLUICE_KAFKA_GROUP": "sluice",
            "SLUICE_KAFKA_CONFIG": config, "SLUICE_CLUSTER_SECRET": "one-secret-for-all-the-services",
        }
        self.cluster = Members(os.path.join(directory, "cluster"), variables, shards=2)
        self.cluster.ports["ingest-2"] = (free_port(), free_port())
        self.read = 0

    # What the services say.

    def metric(self, name, topic=None, of="ingest"):
        """The sum of a metric; None without an answer."""
        status, answer, _ = ask(self.cluster.http(of), "/metrics", timeout=5)
        if status != 200:
            return None
        lines = re.findall(rf"^sluice_ingest_kafka_{name}(\{{[^}}]*\}})? (\S+)$", answer.decode(), re.M)
        return sum(float(value) for labels, value in lines if topic is None or f'topic="{topic}"' in labels)

    def query(self, funnel, field):
        body = {"funnel": funnel}
        status, answer, _ = ask(self.cluster.coordinator, "/v1/query", body, headers={"Content-Type": "application/json"}, timeout=60)
        return json.loads(answer)[field] if status == 200 else None

    def ticks(self):
        return self.query({"steps": ["Tick"]}, "entered")

    def check_counts(self, when):
        """Everything that was sent is there, once."""
        wait_until(f"{when}: {self.messages.count:,} events", lambda: (self.ticks() or 0) >= self.messages.count)
        wait_until(f"{when}: {self.messages.tocks:,} second events",
                   lambda: (self.query({"steps": ["Tock"]}, "entered") or 0) >= self.messages.tocks)
        assert self.ticks() == self.messages.count, f"{when}: {self.ticks()} of {self.messages.count}"
        for name in ("Tick", "Tock"):
            twice = self.query({"steps": [name, name], "conversion_order": {"flexible": {"limit": "1s"}}}, "converted")
            assert twice == 0, f"{when}: {twice} events {name} are there twice"
        note(f"{when}: {self.messages.count:,} messages, none lost, none twice")

    # Faults.

    def kill_ingest(self, count):
        """kill -9 while messages are being read."""
        wait_until("messages to be read", lambda: (self.metric("messages_total", TOPIC) or 0) > 100)
        self.messages.put(count)
        time.sleep(self.draw.uniform(0, 0.2))
        self.read += self.metric("messages_total", TOPIC) or 0
        process = self.cluster.processes["ingest"]
        process.kill()
        process.wait(10)
        self.cluster.start("ingest")
        self.cluster.wait_ready(60, ["ingest"])

    def faults(self, chunks, size, kills, outages):
        for chunk in range(chunks):
            self.messages.put(size // 2)
            if chunk in kills:
                self.kill_ingest(size // 2)
            else:
                self.messages.put(size // 2)
            if chunk in outages:
                self.brokers.do(f"down {outages[chunk]}")
                time.sleep(self.draw.uniform(1, 3))
                self.brokers.do(f"up {outages[chunk]}")
        self.check_counts(f"{len(kills)} kills, {len(outages)} outages of brokers")
        read = self.read + (self.metric("messages_total", TOPIC) or 0)
        note(f"at least {int(read):,} messages were read")

    def poison(self):
        expected = {}
        for offset, (payload, headers, count) in enumerate(POISON):
            self.brokers.put(POISONED, 0, payload, headers)
            expected[f"{POISONED}/0/{offset}"] = count
        for payload in NOTHING:
            self.brokers.put(POISONED, 0, payload)
        # The partition goes on.
        good = {"user_id": "after", "event": "After poison", "timestamp": TIME}
        self.brokers.put(POISONED, 0, json.dumps(good).encode())
        self.brokers.flush()
        wait_until("the event behind the poison", lambda: self.query({"steps": ["After poison"]}, "entered") == 1)

        def kept():
            found = {}
            try:
                with open(os.path.join(self.cluster.data, "ingest", "rejected", "1.ndjson")) as file:
                    lines = [json.loads(line) for line in file if line.endswith("\n")]
            except FileNotFoundError:
                return None
            for line in lines:
                assert line["endpoint"] == "kafka" and line["reason"], line
                place = re.search(r"\(message (\S+)\)$", line["reason"]).group(1)
                found[place] = found.get(place, 0) + 1
            return found if found == expected else None

        wait_until(f"dead letters of {expected}", kept, 30)
        note(f"{len(POISON)} messages that cannot be read: {sum(expected.values())} dead letters, the partition goes on")

    def shard_down(self, count):
        process = self.cluster.processes["shard-1"]
        process.kill()
        process.wait(10)
        self.messages.put(count)
        wait_until("paused partitions", lambda: (self.metric("paused_partitions", TOPIC) or 0) > 0)
        wait_until("a lag", lambda: (self.metric("lag_messages", TOPIC) or 0) > 0)
        assert self.metric("in_flight_bytes") > 0 and self.metric("errors_total") > 0
        # Ingest stops and starts while messages wait for the shard.
        assert self.cluster.end("ingest") is not None, "ingest had to be killed"
        self.cluster.start("ingest")
        wait_until("paused partitions again", lambda: (self.metric("paused_partitions", TOPIC) or 0) > 0)
        self.cluster.start("shard-1")
        self.cluster.wait_ready(60, ["shard-1", "ingest", "coordinator"])
        self.check_counts("a shard was down")
        wait_until("no paused partition", lambda: self.metric("paused_partitions") == 0)
        wait_until("no lag", lambda: self.metric("lag_messages") == 0)

    def second_ingest(self, count):
        """Partitions are shared with a second ingest, and come back when it ends."""
        self.cluster.start("ingest-2")
        self.cluster.wait_ready(60, ["ingest-2"])
        wait_until("partitions for both", lambda: all((self.metric("partitions", TOPIC, name) or 0) > 0 for name in ("ingest", "ingest-2")))
        self.messages.put(count)
        wait_until("messages for the second", lambda: (self.metric("messages_total", TOPIC, "ingest-2") or 0) > 0)
        assert self.cluster.end("ingest-2") is not None, "the second ingest had to be killed"
        self.messages.put(count)
        wait_until("all partitions again", lambda: self.metric("partitions", TOPIC) == PARTITIONS)
        self.check_counts("a second ingest came and went")

    def clean_stop(self):
        """What was read before a clean stop is not read again."""
        self.messages.put(100)
        wait_until("the last messages", lambda: self.ticks() == self.messages.count)
        assert self.cluster.end("ingest") is not None, "ingest had to be killed"
        log = self.cluster.log("ingest")
        self.cluster.start("ingest")
        self.cluster.wait_ready(60, ["ingest"])
        self.messages.put(PARTITIONS)
        wait_until("one message of each partition", lambda: self.ticks() == self.messages.count)
        wait_until("no lag", lambda: self.metric("lag_messages") == 0)
        read = self.metric("messages_total")
        assert read == PARTITIONS, f"{read} messages were read after a clean stop, {PARTITIONS} are new"
        assert PASSWORD not in log, "the log shows a secret"
        note("a clean stop commits: nothing is read again")

    def wrong_settings(self, directory):
        """Settings of librdkafka that do not exist, or that are not the operator's, are named."""
        path = os.path.join(directory, "wrong.properties")
        os.makedirs(os.path.join(directory, "wrong"))
        for line, field in (("no.such.setting=1", "no.such.setting"), ("enable.auto.commit=true", "enable.auto.commit"), ("x", "line 1")):
            with open(path, "w") as file:
                file.write(line + "\n")
            command = [program("sluice-ingest"), "--data", os.path.join(directory, "wrong"), "--http-port", "0", "--wire-port", "0",
                       "--kafka-config", path]
            found = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.cluster.variables)
            assert found.returncode == 2 and field in found.stderr, (line, found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true", help="fewer messages and kills")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        brokers = Brokers(directory)
        run = Run(directory, brokers, options)
        try:
            run.wrong_settings(directory)
            brokers.do(f"topic {TOPIC} {PARTITIONS}")
            brokers.do(f"topic {POISONED} 1")
            run.cluster.start_all(60)
            if options.short:
                run.faults(5, 2_000, kills={1}, outages={3: 2})
            else:
                run.faults(10, 10_000, kills={1, 3, 4, 6, 8}, outages={2: 1, 4: 2, 7: 3})
            run.poison()
            run.shard_down(400)
            run.second_ingest(1_000)
            run.clean_stop()
        except Exception:
            for name in ("ingest", "ingest-2"):
                if os.path.exists(os.path.join(run.cluster.data, name + ".log")):
                    print(f"--- {name}\n{run.cluster.log(name)[-3_000:]}", file=sys.stderr)
            raise
        finally:
            run.cluster.stop()
            brokers.stop()
    note("as expected")


main()
