#!/usr/bin/env python3
"""Every vector of Protocol/vectors through the client's decoders, and back through its encoders. No network.

    python3 vectors_test.py [-v]        SLUICE_VECTORS names another directory than ../../Protocol/vectors
"""

import json
import os
import struct
import unittest

import client_messages as client
import cluster_messages as cluster
import export_messages as exports
import frames
import people_messages as people
import service_messages as service
from answers import decode_answer, decode_error, encode_answer, encode_error
from batches import decode_batch, encode_batch
from checksums import crc32c
from errors import ERRORS, SluiceError, invalid
from frames import Frame, decode_request, encode_frame
from http2_headers import hpack_status
from json_events import event_of_json
from lz4_block import lz4_decode, lz4_encode
from timestamps import parse_timestamp

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.environ.get("SLUICE_VECTORS") or os.path.join(HERE, "..", "..", "Protocol", "vectors")


def load(name):
    with open(os.path.join(VECTORS, name), encoding="utf-8") as file:
        return json.load(file)


def number(value):
    """Numbers over 2^53 stand as text."""
    return int(value)


def events_of(meaning):
    def value(tagged):
        (kind, value), = tagged.items()
        return {"string": str, "integer": int, "double": float, "boolean": bool}[kind](value)

    return [{"user": e["user"], "event": e["event"], "microseconds": number(e["microseconds"]), "id": e["id"],
             "server_timed": e["server_timed"], "properties": {k: value(v) for k, v in e["properties"].items()}}
            for e in meaning]


def times_of(meaning):
    return [{**times, "sum": number(times["sum"])} for times in meaning]


def normal(kind, meaning):
    """A vector's meaning as the decoders tell it."""
    meaning = dict(meaning)
    for key in ("producer", "sequence", "cluster", "lineage", "revision", "as_of", "start", "end", "newest_event", "data_id"):
        if key in meaning and kind not in ("query", "usersQuery", "mergedResult"):
            meaning[key] = number(meaning[key])
    if "data_ids" in meaning:
        meaning["data_ids"] = [number(one) for one in meaning["data_ids"]]
    if kind == "ruleList" and meaning["projects"]:
        meaning["projects"] = [{**entry, "revision": number(entry["revision"])} for entry in meaning["projects"]]
    for key in ("after", "next"):
        if kind in ("exportQuery", "exportPage") and key in meaning:
            place = meaning[key]
            numbers = ("data", "microseconds", "properties") if "event" in place else ("data",)
            meaning[key] = {**place, **{one: number(place[one]) for one in numbers if one in place}}
    if kind in ("append", "shardAppend", "exportPage"):
        meaning["events"] = events_of(meaning["events"])
    if kind == "partialUsersQuery":
        meaning["query"] = normal("partialQuery", meaning["query"])
    if kind == "partialQuery" and "trend" in meaning:
        meaning["trend"] = [number(bound) for bound in meaning["trend"]]
    if kind == "partialResult" and "breakdown" in meaning:
        groups = [{**g, "value": {k: number(v) if k == "integer" else v for k, v in g["value"].items()}}
                  for g in meaning["breakdown"]["groups"]]
        left_out = [number(n) for n in meaning["breakdown"]["left_out"]]
        meaning["breakdown"] = {**meaning["breakdown"], "groups": groups, "left_out": left_out}
    if kind == "partialResult" and "between" in meaning:
        between = meaning["between"]
        meaning["between"] = {**between, "times": times_of([between["times"]])[0]}
    if kind == "partialResult" and "explain" in meaning:
        meaning["explain"] = [{**e, "events": [{**event, "positions": number(event["positions"])} for event in e["events"]]}
                              for e in meaning["explain"]]
    for key in ("from_first", "from_previous"):
        if key in meaning:
            meaning[key] = times_of(meaning[key])
    return meaning


def decode_health(body):
    if body:
        raise invalid("a health request with a body")
    return {}


def told(error):
    return {"code": error.code, "name": error.name, "message": error.message,
            "retry_after_ms": error.retry_after_ms, "shards": error.shards,
            "faults": [{"field": field, "reason": reason} for field, reason in error.faults]}


def error_of(meaning):
    return SluiceError(meaning["name"], meaning["message"], retry_after_ms=meaning["retry_after_ms"],
                       faults=[(f["field"], f["reason"]) for f in meaning["faults"]], shards=meaning["shards"])


def reading(read):
    return lambda body: service.whole(read, body)


DECODE = {
    frames.HELLO: client.decode_hello, frames.HELLO_RESULT: client.decode_hello_result,
    frames.APPEND: client.decode_append, frames.APPEND_RESULT: client.decode_append_result,
    frames.QUERY: client.decode_json, frames.MERGED_RESULT: client.decode_json,
    frames.USERS_QUERY: client.decode_json,
    frames.USER_LIST: reading(service.read_user_list),
    frames.HEALTH: decode_health, frames.HEALTH_RESULT: client.decode_health_result,
    frames.ERROR: lambda body: told(decode_error(body)),
    frames.PARTIAL_QUERY: reading(service.read_partial_query),
    frames.PARTIAL_USERS_QUERY: reading(service.read_partial_users_query),
    frames.PARTIAL_RESULT: reading(service.read_partial_result),
    frames.SNAPSHOT: reading(cluster.read_snapshot),
    frames.DISCOVERY_QUERY: reading(people.read_discovery_query),
    frames.DISCOVERY_RESULT: reading(lambda reader: people.read_discovery(reader, service.read_value)),
    frames.SNAPSHOT_REQUEST: reading(cluster.read_snapshot_request),
    frames.SHARD_APPEND: reading(service.read_shard_append),
    frames.IDENTITY_REQUEST: decode_health, frames.IDENTITY: reading(cluster.read_identity),
    frames.KEY_LIST_REQUEST: reading(cluster.read_key_list_request), frames.KEY_LIST: reading(cluster.read_key_list),
    frames.RULE_LIST_REQUEST: reading(cluster.read_rule_list_request), frames.RULE_LIST: reading(cluster.read_rule_list),
    frames.EXPORT_QUERY: reading(exports.read_export_query), frames.EXPORT_PAGE: reading(exports.read_export_page),
}

ENCODE = {
    "hello": lambda m: client.encode_hello(bytes.fromhex(m["nonce"]), m["role"], m["phase"], m["version_min"],
                                           m["version_max"], bytes.fromhex(m["proof"])),
    "helloResult": lambda m: client.encode_hello_result(m["role"], m["version"], m["cluster"], m["epoch"],
                                                        bytes.fromhex(m["nonce"]), bytes.fromhex(m["proof"])),
    "append": lambda m: client.encode_append(m["producer"], m["sequence"], m["events"], m["idempotency_key"], m["part"]),
    "shardAppend": service.encode_shard_append,
    "appendResult": client.encode_append_result,
    "userList": service.encode_user_list,
    "health": lambda m: b"",
    "healthResult": lambda m: client.encode_health_result(m["role"], m["ready"], m["epoch"]),
    "error": lambda m: encode_error(error_of(m)),
    "query": client.encode_json, "usersQuery": client.encode_json, "mergedResult": client.encode_json,
    "partialQuery": service.encode_partial_query, "partialUsersQuery": service.encode_partial_users_query,
    "partialResult": service.encode_partial_result, "snapshot": cluster.encode_snapshot,
    "discoveryQuery": people.encode_discovery_query,
    "discoveryResult": lambda m: people.encode_discovery(m, service.encode_value),
    "snapshotRequest": cluster.encode_snapshot_request,
    "identityRequest": lambda m: b"", "identity": cluster.encode_identity,
    "keyListRequest": cluster.encode_key_list_request, "keyList": cluster.encode_key_list,
    "exportQuery": exports.encode_export_query, "exportPage": exports.encode_export_page,
    "ruleListRequest": cluster.encode_rule_list_request, "ruleList": cluster.encode_rule_list,
}
# JSON has no fixed order of keys: these are compared after decoding again
TEXTS = {"query", "usersQuery", "mergedResult", "partialQuery", "partialUsersQuery"}

MESSAGES = ["append.json", "discovery.json", "error.json", "export.json", "frame.json", "health.json", "hello.json",
            "identity.json",
            "keys.json", "partial-query.json", "partial-result.json", "query.json", "rules.json", "snapshot.json",
            "user-list.json"]


class Vectors(unittest.TestCase):
    maxDiff = 2000

    def messages(self):
        for name in MESSAGES:
            vectors = load(name)
            self.assertTrue(vectors, name)
            for vector in vectors:
                yield f"{name}: {vector['name']}", vector, normal(vector["kind"], vector["meaning"])

    def test_frames_and_messages_are_decoded(self):
        for name, vector, meaning in self.messages():
            with self.subTest(name):
                frame = decode_request(bytes.fromhex(vector["hex"]))
                self.assertEqual(
                    (frame.kind, frame.cluster, frame.request, frame.project, frame.epoch, frame.compressed),
                    (vector["kind_code"], number(vector["cluster"]), number(vector["request"]), vector["project"],
                     vector["epoch"], vector["compressed"]))
                decoded = DECODE[frame.kind](frame.body)
                self.assertEqual(decoded, meaning)
                if vector["kind"] == "append":  # 1 and 1.0 are equal in Python, but not here
                    for ours, theirs in zip(decoded["events"], meaning["events"]):
                        self.assertEqual(*({k: type(v) for k, v in e["properties"].items()} for e in (ours, theirs)))

    def test_outcomes_of_errors(self):
        seen = set()
        for vector in load("error.json"):
            error = decode_error(decode_request(bytes.fromhex(vector["hex"])).body)
            name, outcome, retryable = ERRORS[error.code]
            self.assertEqual((error.name, error.outcome, error.retryable), (name, outcome, retryable))
            seen.add(error.code)
        self.assertEqual(seen, set(ERRORS))

    def test_messages_are_encoded(self):
        for name, vector, meaning in self.messages():
            with self.subTest(name):
                theirs = bytes.fromhex(vector["hex"])
                body = ENCODE[vector["kind"]](meaning)
                head = (vector["kind_code"], body, number(vector["cluster"]), number(vector["request"]),
                        vector["project"], vector["epoch"])
                ours = encode_frame(Frame(*head), compress=vector["compressed"])
                if vector["kind"] in TEXTS:
                    self.assertEqual(DECODE[vector["kind_code"]](decode_request(ours).body), meaning)
                elif vector["compressed"]:  # any valid block will do
                    self.assertEqual(decode_request(ours).body, decode_request(theirs).body)
                    self.assertLess(len(ours), 64 + len(body))
                else:
                    self.assertEqual(ours.hex(), theirs.hex())

    def test_answers(self):
        for vector in load("trailer-and-answer.json"):
            with self.subTest(vector["name"]):
                data, meaning = bytes.fromhex(vector["hex"]), vector["meaning"]
                if meaning["error"] is None:
                    results, rows = decode_answer(data)
                    self.assertEqual(rows, meaning["rows"])
                    for frame, result in zip(results, meaning["results"]):
                        self.assertEqual(DECODE[frame.kind](frame.body), normal(result["kind"], result["meaning"]))
                    self.assertEqual(len(results), len(meaning["results"]))
                else:
                    with self.assertRaises(SluiceError) as caught:
                        decode_answer(data)
                    self.assertEqual(told(caught.exception), meaning["error"])
                kinds = {"appendResult": frames.APPEND_RESULT, "userList": frames.USER_LIST}
                parts = [(kinds[r["kind"]], ENCODE[r["kind"]](r["meaning"])) for r in meaning["results"]]
                if meaning["error"]:
                    parts.append((frames.ERROR, ENCODE["error"](meaning["error"])))
                head = dict(cluster=0x1122334455667788, request=42, epoch=1)
                ours = encode_answer([Frame(kind, body, **head) for kind, body in parts], meaning["rows"],
                                     Frame(frames.TRAILER, **head))
                self.assertEqual(ours.hex(), data.hex())

    def test_rejects(self):
        for vector in load("rejects.json"):
            with self.subTest(vector["name"]):
                data = bytes.fromhex(vector["hex"])
                with self.assertRaises(SluiceError) as caught:
                    if vector["as"] == "answer":
                        decode_answer(data)
                    else:
                        frame = decode_request(data)
                        DECODE[frame.kind](frame.body)
                self.assertEqual(caught.exception.name, vector["error"])

    def test_no_vector_may_be_cut(self):
        for name, vector, _ in self.messages():
            data = bytes.fromhex(vector["hex"])
            for cut in {0, 1, 63, 64, len(data) // 2, len(data) - 1} - {len(data)}:
                with self.subTest(f"{name} cut to {cut}"), self.assertRaises(SluiceError):
                    frame = decode_request(data[:cut])
                    DECODE[frame.kind](frame.body)

    def test_hash(self):
        for vector in load("hash.json"):
            with self.subTest(vector["text"][:20]):
                data = bytes.fromhex(vector["utf8"])
                self.assertEqual(vector["text"].encode(), data)
                self.assertEqual(service.xxh64(data), int(vector["xxh64"], 16))
                self.assertEqual(service.xxh64(data) % service.BUCKETS, vector["bucket"])

    def test_timestamps(self):
        vectors = load("timestamps.json")
        for vector in vectors["accepted"]:
            with self.subTest(vector["text"]):
                self.assertEqual(parse_timestamp(vector["text"]), vector["microseconds"])
        for text in vectors["refused"]:
            with self.subTest(text), self.assertRaises(ValueError):
                parse_timestamp(text)

    def test_every_file_is_used(self):
        used = set(MESSAGES) | {"trailer-and-answer.json", "rejects.json", "hash.json", "timestamps.json",
                                "funnels.json", "statistics.json"}  # the last two by cluster_test.py and by Swift
        self.assertEqual(set(os.listdir(VECTORS)), used)


class Client(unittest.TestCase):
    def test_checksum(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(crc32c(b"56789", crc32c(b"1234")), 0xE3069283)

    def test_the_last_of_two_properties_with_one_key_counts(self):
        event = {"user": "u", "event": "e", "microseconds": 1, "properties": {"a": 1, "b": "x", "c": True}}
        data = encode_batch([event])

        def with_keys(text):
            """The batch with another table of three property keys of a byte each."""
            section = data.index(b"\x03\x01\x01\x01abc")
            bytes_ = int.from_bytes(data[section - 8:section - 4], "little")
            part = data[section:section + bytes_].replace(b"abc", text)
            return data[:section - 4] + struct.pack("<I", crc32c(part)) + part + data[section + bytes_:]

        self.assertEqual(decode_batch(data)[0]["properties"], event["properties"])
        self.assertEqual(decode_batch(with_keys(b"aab"))[0]["properties"], {"a": "x", "b": True})
        self.assertEqual(decode_batch(with_keys(b"aba"))[0]["properties"], {"a": True, "b": "x"})
        self.assertEqual(decode_batch(with_keys(b"aaa"))[0]["properties"], {"a": True})

    def test_compression_there_and_back(self):
        noise = bytes(crc32c(struct.pack("<I", n)) & 255 for n in range(5000))
        for data in (b"", b"a", b"abcd" * 3, b"a" * 13, b"a" * 70_000, noise, noise[:900] * 90, b"ab" * 300 + noise[:300]):
            block = lz4_encode(data)
            self.assertEqual(lz4_decode(block, len(data)), data)

    def test_status_of_header_blocks(self):
        for block, status in (("88", 200), ("8d", 404), ("203fe11f88", 200), ("4803343135", 415),
                              ("00073a73746174757303343133", 413), ("5f0161" "8c", 400)):
            self.assertEqual(hpack_status(bytes.fromhex(block)), status)
        bits = "011010" + "00000" + "011011" + "1" * 7  # 405
        huffman = int(bits, 2).to_bytes(3, "big")
        self.assertEqual(hpack_status(b"\x08\x83" + huffman), 405)
        for block in ("be", "48", "4803", "0f", ""):
            with self.assertRaises(SluiceError):
                hpack_status(bytes.fromhex(block))

    def test_events_of_the_command_line(self):
        event = event_of_json({"user_id": "u", "event": "e", "timestamp": "2024-03-20T00:00:00.5Z",
                               "properties": {"a": {"b": 1, "c": None}, "a.b": 2, "l": [1, "x"],
                                              "big": 1 << 70, "nan": float("nan")}})
        self.assertEqual(event, {"user": "u", "event": "e", "microseconds": 1710892800500000, "id": "",
                                 "properties": {"a.b": 2, "l": '[1,"x"]', "big": float(1 << 70)}})


if __name__ == "__main__":
    unittest.main()
