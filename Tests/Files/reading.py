#!/usr/bin/env python3
"""An independent reading of the samples of every preset, and its comparison with `sluice load`.

    reading.py expect               writes samples/NAME.expected.ndjson
    reading.py check SLUICE         compares what `SLUICE load --preset … --dry-run --format json` writes
"""

import argparse
import json
import os
import sys

import presets
import runs

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples")


def expected_path(name):
    return os.path.join(SAMPLES, name.rsplit(".", 1)[0] + ".expected.ndjson")


def expect():
    for name, (_, read) in presets.SAMPLES.items():
        with open(os.path.join(SAMPLES, name), "rb") as file:
            found = read(file.read())
        with open(expected_path(name), "w", encoding="utf-8", newline="\n") as out:
            for record in found:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
        kinds = [next(k for k in ("event", "claims", "rejected", "skipped") if k in record) for record in found]
        print(f"{name}: {kinds.count('event')} events, {kinds.count('rejected')} rejected, {kinds.count('skipped')} skipped, {kinds.count('claims')} with claims alone")


def same(a, b):
    """Text, boolean and number are told apart; 1 and 1.0 are one value."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return (isinstance(a, str) == isinstance(b, str)) and a == b


def differences(ours, theirs):
    """Where an answer of the program differs from what is expected of it."""
    found = []
    if ours["lines"] != theirs.get("lines"):
        found.append(f"lines {theirs.get('lines')}, expected {ours['lines']}")
    for kind, member in (("event", "event"), ("rejected", "reason"), ("skipped", "skipped"), ("profile", "profile"), ("claims", "claims")):
        if (kind in ours) != (member in theirs):
            found.append(f"{'no ' if kind in ours else ''}{kind}: {json.dumps(theirs, ensure_ascii=False)[:300]}")
    if found:
        return found
    if ours.get("claims") != theirs.get("claims"):
        found.append(f"claims {theirs['claims']}, expected {ours['claims']}")
    rows = [[*([record["event"]] if "event" in record else []), *record.get("profile", [])] for record in (ours, theirs)]
    if len(rows[0]) != len(rows[1]):
        found.append(f"{len(rows[1])} rows, expected {len(rows[0])}")
    for a, b in zip(*rows):
        found += row_differences(a, b)
    return found


def row_differences(a, b):
    found = []
    for field in ("user_id", "event", "timestamp", "event_id"):
        if a[field] != b.get(field) and not (field == "event_id" and a[field] is None):
            found.append(f"{field} {b.get(field)!r}, expected {a[field]!r}")
    have, want = b.get("properties") or {}, a["properties"]
    for key in sorted(set(have) | set(want)):
        if key not in have:
            found.append(f"property {key!r} lacks, expected {want[key]!r}")
        elif key not in want:
            found.append(f"property {key!r} = {have[key]!r} is not expected")
        elif not same(want[key], have[key]):
            found.append(f"property {key!r} = {have[key]!r}, expected {want[key]!r}")
    return found


def check(sluice):
    faults = 0
    for name, (preset, _) in presets.SAMPLES.items():
        with open(expected_path(name), encoding="utf-8") as file:
            expected = [json.loads(line) for line in file]
        path = os.path.join(SAMPLES, name)
        found, status, errors, _ = runs.dry_run(sluice, ["--preset", preset], [path])
        messages = []
        if status != (3 if any("rejected" in record for record in expected) else 0):
            messages.append(f"exit status {status}: {errors.strip()[:300]}")
        if len(found) != len(expected):
            messages.append(f"{len(found)} records, expected {len(expected)}")
        for ours, theirs in zip(expected, found):
            messages += [f"lines {ours['lines']}: {m}" for m in differences(ours, theirs)]
            if theirs.get("file") != path:
                messages.append(f"lines {ours['lines']}: file {theirs.get('file')!r}")
        events = [(a, b["event"]) for a, b in zip(expected, found) if "event" in a and "event" in b]
        made = [b.get("event_id") for a, b in events if a["event"]["event_id"] is None]
        if None in made or len(set(made)) != len(made):
            messages.append(f"ids of rows without one are not unique: {made}")
        if runs.dry_run(sluice, ["--preset", preset], [path])[0] != found:
            messages.append("a second run answers otherwise")
        print(f"{name}: {'as expected' if not messages else f'{len(messages)} differences'}, {len(expected)} records")
        for message in messages:
            print(f"  {message}")
        faults += len(messages)
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("expect")
    commands.add_parser("check").add_argument("sluice")
    options = parser.parse_args()
    if options.command == "expect":
        return expect()
    return check(options.sluice)


if __name__ == "__main__":
    sys.exit(main())
