#!/usr/bin/env python3
"""Sends a release's recorded calls, byte by byte, to services of today that stand on its data: clients and services of that
release must get the answers that they know.

    python3 replay.py INFO_FILE RELEASE     such as info.json Tests/Released/0.1.0

Appends are repeats by now. Ends with a status other than 0 where an answer differs.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))

import cluster_messages as cluster  # noqa: E402
import frames  # noqa: E402
import people_messages as people  # noqa: E402
import service_messages as service  # noqa: E402
from answers import decode_answer  # noqa: E402
from client_messages import decode_append_result, decode_hello_result, decode_json  # noqa: E402
from errors import ERROR_CODES, SluiceError  # noqa: E402
from exchanges import Wire  # noqa: E402


def differences(old, new, where=""):
    """Where the new value lacks something of the old one. New members of objects are no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from differences(value, new.get(key, "absent"), f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (a, b) in enumerate(zip(old, new)):
            yield from differences(a, b, f"{where}[{place}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield f"{where}: {old!r:.200} became {new!r:.200}"


def append_result(body):
    """A repeat is told its first result. Of a reason the field counts, where it names one: the rest is words for people."""
    told = decode_append_result(body)
    for rejected in told["rejected"]:
        field, colon, _ = rejected.pop("reason").partition(": ")
        rejected["field"] = field if colon else None
    return {**told, "repeated": None}


def hello_result(body):
    return {**decode_hello_result(body), "nonce": None, "proof": None}


def snapshot(body):
    """Addresses are those of this start, and a change of them is a revision."""
    told = service.whole(cluster.read_snapshot, body)
    return {**told, "revision": None, "shards": len(told["shards"])}


def discovery(body):
    told = service.whole(lambda reader: people.read_discovery(reader, service.read_value), body)
    if "totals" in told:
        told["totals"]["taken"] = None  # since the start
    # Stored rows, repeats and all: a merge that has begun since leaves some out.
    for place in (told.get("totals"), *told.get("events", []), *told.get("values", [])):
        if isinstance(place, dict):
            place.update({key: None for key in ("rows", "segments", "unsealed_rows") if key in place})
    return told


# Everything else must come back byte by byte.
READERS = {frames.APPEND_RESULT: append_result, frames.HELLO_RESULT: hello_result, frames.MERGED_RESULT: decode_json,
           frames.SNAPSHOT: snapshot, frames.DISCOVERY_RESULT: discovery}


def read(answer):
    """Kinds and contents of the frames, and the rows of the trailer; or the error."""
    try:
        results, rows = decode_answer(answer)
    except SluiceError as error:
        told = error.as_dict()
        # Words are for people, and a retry's delay is advice.
        return {key: told[key] for key in ("code", "outcome", "retryable")} | {"fields": [fault["field"] for fault in told["faults"]]}
    return {"rows": rows, "frames": [[frame.kind, READERS.get(frame.kind, bytes.hex)(frame.body)] for frame in results]}


# What a later release answers otherwise, on purpose: 0.1 told rows under a used number as rejected, and a client could not tell
# them from bad ones.
OTHERWISE = {"append of other rows under a used sequence": ERROR_CODES["sequence_expired"]}
# Answers that counted profile records as events: since 0.2 these are none (FUNNEL.md section 1).
SAW_PROFILES = {
    "explain", "paths", "predictors", "partial query: paths after a drop-off", "partial query: paths between steps", "partial query: predictors",
    "partial query: explanation", "partial discovery: events",
}


def ask(wire, entry):
    """What is read of the answer of today. Sent again for a while where that may help: after a start ingest goes by the
    addresses of the start before, until the coordinator has answered."""
    until = time.monotonic() + 30
    while True:
        told = read(wire.send(entry["to"], entry["role"], entry["key"], entry["path"], bytes.fromhex(entry["request"])))
        waits = told.get("retryable") or any(kind == frames.APPEND_RESULT and result["retry"] for kind, result in told.get("frames", []))
        if not waits or time.monotonic() > until:
            return told
        time.sleep(0.1)


def main(info, release):
    with open(info, encoding="utf-8") as file:
        wire = Wire(json.load(file))
    with open(os.path.join(release, "wire.json"), encoding="utf-8") as file:
        entries = json.load(file)
    sent = failed = 0
    for entry in entries:
        if entry["path"] == "hello" and entry["role"] != "client":
            continue  # a proof holds for one connection; `Wire` gives its own
        sent += 1
        told = ask(wire, entry)
        found = list(differences(read(bytes.fromhex(entry["answer"])), told))
        if told.get("code") == OTHERWISE.get(entry["name"], "none") or entry["name"] in SAW_PROFILES and "frames" in told:
            found = []
        failed += bool(found)
        for line in found[:5]:
            print(f"{entry['name']}{line}")
    wire.close()
    print(f"{sent} calls, {failed} with another answer")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
