#!/usr/bin/env python3
"""Random files, well-formed and spoiled, read by `sluice load --dry-run` and by Python's csv and json.

    random_files.py --count 10000 --seed 1 SLUICE       files, half CSV and half NDJSON, half of each spoiled
    random_files.py --seed 1 --only 4711 SLUICE         one of them again
    random_files.py --directed SLUICE                   long lines, many quotes, a gzip bomb, NULs

A well-formed file must give the records that csv and json give, value by value. Of a spoiled one every line but the header and empty
lines must belong to exactly one record, and records that both can judge must be equal.
"""

import argparse
import gzip
import os
import random
import shutil
import sys
import tempfile
import time

import csvtext
import directed
import plain
import random_text
import runs
from doubts import Doubts
from reading import differences

BATCH = 25
SHOWN = 40


class File:
    """One random file; the seed and its number say all about it."""

    def __init__(self, seed, number, options, as_json, folder):
        r = random.Random(f"{seed}:{number}")
        self.number, self.options, self.as_json = number, options, as_json
        self.spoiled = r.random() < 0.5
        text = random_text.encoded(r, random_text.well_formed(r, options, as_json))
        self.data = random_text.spoiled(r, text) if self.spoiled else text
        packed = random_text.packed(r, self.data)
        self.torn = self.spoiled and packed is not self.data and r.random() < 0.2
        self.packed = random_text.spoiled(r, packed) if self.torn else packed
        name = f"{number}.{'ndjson' if as_json else 'csv'}" + (".gz" if packed is not self.data and r.random() < 0.5 else "")
        self.path = os.path.join(folder, name)
        self.write(self.packed)
        self.doubt, self.expected, self.no_file = Doubts(self.data, options), None, None
        try:
            self.expected = None if self.doubt.of_file else plain.read(self.data, options)
        except plain.NoFile as fault:
            self.no_file = fault

    def write(self, data):
        with open(self.path, "wb") as file:
            file.write(data)

    def repack(self):
        """The same text in another container."""
        self.write(self.data if self.packed is not self.data else gzip.compress(self.data, mtime=0))


def batch_options(seed, batch):
    r = random.Random(f"{seed}:options:{batch}")
    as_json = batch % 2 == 1
    return random_text.options(r, as_json), as_json


# MARK: Judgement


def tiling(doubt, found):
    """Faults of the lines that are reported: each line but the header and empty ones in exactly one record, in order."""
    lines, at, bare = doubt.lines, 0, []
    for record in found:
        first, last = record["lines"]
        if not at < first <= last <= len(lines):
            return [f"lines {[first, last]} after line {at}, of {len(lines)} lines"]
        if all(map(csvtext.is_empty, lines[first - 1:last])):
            return [f"lines {[first, last]} are empty and no record"]
        bare += range(at + 1, first)
        at = last
    bare += range(at + 1, len(lines) + 1)
    header = doubt.header_end()
    lost = [n for n in bare if n > header and not doubt.may_be_no_record(lines[n - 1])]
    return [f"lines {lost[:5]} belong to no record: {lines[lost[0] - 1][:200]!r}"] if lost else []


def judge(file, found, status, errors):
    """Faults of one file, of which `found` was answered."""
    if status not in (0, 1, 3):
        return [f"exit status {status}: {errors.strip()[-500:]}"]
    words = runs.words_fault(errors) if status == 1 else None
    if words or file.torn:
        return [words] if words else []
    if file.no_file:
        return [] if status == 1 else [f"read, although {file.no_file}"]
    if status == 1:
        return [] if file.doubt.of_file or b"\0" in file.data[:4] else [f"not read: {errors.strip()[:300]}"]
    faults = tiling(file.doubt, found)
    rejected = any("reason" in record for record in found)
    if (status == 3) != rejected:
        faults.append(f"exit status {status} with {'' if rejected else 'no '}rejected records")
    return faults + (compared(file, file.expected, found) if file.expected is not None else [])


def compared(file, expected, found):
    """Differences from the independent reading."""
    if file.doubt.is_json:
        expected = [e for e in expected if not file.doubt.may_be_no_record(file.doubt.lines[e["lines"][0] - 1])]
        found = [f for f in found if not file.doubt.may_be_no_record(file.doubt.lines[f["lines"][0] - 1])]
    if [e["lines"] for e in expected] != [f["lines"] for f in found]:
        at = next((i for i, (e, f) in enumerate(zip(expected, found)) if e["lines"] != f["lines"]), min(len(expected), len(found)))
        return [f"{len(found)} records, expected {len(expected)}; from the {at + 1}th on {found[at:at + 1]}, expected {expected[at:at + 1]}"[:1500]]
    faults = []
    sure = [(e, f) for e, f in zip(expected, found) if not file.doubt.of_record(e["lines"])]
    if not file.spoiled and len(sure) != len(expected):
        faults.append("the generator made a file that can be read in two ways")
    shown = [f["claims"] for f in found if "claims" in f]
    for e, f in sure:
        if "claims" in e and "claims" not in f and e["claims"] in shown:
            # Of equal claims one after the other, only the earliest is listed.
            e = {kind: value for kind, value in e.items() if kind != "claims"}
        faults += [f"lines {e['lines']}: {message}" for message in differences(e, f)]
    made = [f["event"].get("event_id") for e, f in zip(expected, found) if "event" in f and "event" in e and e["event"]["event_id"] is None]
    if None in made or len(set(made)) != len(made):
        faults.append("ids of rows without one are not unique")
    return faults


# MARK: Runs


class Run:
    def __init__(self, options):
        self.sluice, self.seed, self.keep = options.sluice, options.seed, options.keep
        self.failed, self.files, self.records, self.refused, self.peak = 0, 0, 0, 0, 0

    def load(self, files):
        """Answers by path, exit status, standard error."""
        records, status, errors, peak = runs.dry_run(self.sluice, files[0].options.arguments(), [f.path for f in files])
        found = {}
        for record in records:
            found.setdefault(record["file"], []).append(record)
        self.peak = max(self.peak, peak)
        if peak > runs.MOST_MEMORY:
            self.fail(files[0], [f"{peak >> 20} MB of memory, in a call with {len(files)} files"])
        return found, status, errors

    def fail(self, file, faults):
        self.failed += 1
        if self.failed > SHOWN:
            return
        os.makedirs(self.keep, exist_ok=True)
        kept = shutil.copy(file.path, self.keep)
        print(f"FAILED --seed {self.seed} --only {file.number}: {kept}\n  options: {file.options.arguments()}")
        for fault in faults[:5]:
            print(f"  {fault}")
        if self.failed == SHOWN:
            print("further files that fail are counted only")

    def batch(self, files, again):
        """All files that can be read in one call, the others one by one; all one by one where that call ends with an error."""
        together = [file for file in files if file.expected is not None and not file.torn]
        found, status, errors = self.load(together) if together else ({}, 0, "")
        if status not in (0, 3):
            together = []
        first = {}
        for file in files:
            own = found.get(file.path, [])
            own_status, own_errors = 3 if any("reason" in f for f in own) else 0, errors
            if file not in together:
                answer, own_status, own_errors = self.load([file])
                own = answer.get(file.path, [])
            first[file.path] = own
            faults = judge(file, own, own_status, own_errors)
            self.files, self.records = self.files + 1, self.records + len(own)
            self.refused += own_status == 1
            if faults:
                self.fail(file, faults)
        if together and status != (3 if any("reason" in f for file in together for f in first[file.path]) else 0):
            self.fail(together[0], [f"exit status {status} of {len(together)} files"])
        if together and again:
            self.again(together, first)

    def again(self, files, first):
        """A second run over the same text, gzip in place of plain text and the other way round, answers the same."""
        for file in files:
            file.repack()
        found, _, _ = self.load(files)
        for file in files:
            if found.get(file.path, []) != first[file.path]:
                self.fail(file, ["read again, compressed in another way, it gives other records or ids"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="the number of one file")
    parser.add_argument("--directed", action="store_true", help="only the directed cases")
    parser.add_argument("--keep", default=os.path.join(tempfile.gettempdir(), "sluice-files-failed"), help="where files that fail are kept")
    parser.add_argument("sluice")
    options = parser.parse_args()
    if options.directed:
        return directed.check(options.sluice)
    run, began = Run(options), time.monotonic()
    batches = [options.only // BATCH] if options.only is not None else range((options.count + BATCH - 1) // BATCH)
    for batch in batches:
        given, as_json = batch_options(options.seed, batch)
        numbers = [options.only] if options.only is not None else range(batch * BATCH, min((batch + 1) * BATCH, options.count))
        with tempfile.TemporaryDirectory() as folder:
            run.batch([File(options.seed, n, given, as_json, folder) for n in numbers], again=batch % 5 < 2)
        if batch % 20 == 19:
            print(f"{run.files} files, {run.records} records, {run.failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{run.files} files, {run.records} records, {run.refused} files refused as a whole, {run.failed} failed, "
          f"at most {run.peak >> 20} MB, {time.monotonic() - began:.0f} s, seed {options.seed}")
    faults = run.failed + (directed.check(options.sluice) if options.only is None else 0)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
