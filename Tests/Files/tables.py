#!/usr/bin/env python3
"""The tables cells.json, times.json and zones.txt, first against the reading by Python and then through `sluice load`.

    tables.py                   only the reading by Python
    tables.py SLUICE            and the program
"""

import csv
import json
import os
import subprocess
import sys
import tempfile

import runs
import times
import values
from reading import same

HERE = os.path.dirname(os.path.abspath(__file__))


def table(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def zones():
    """(name, instant in microseconds, offset in seconds) of every zone."""
    with open(os.path.join(HERE, "zones.txt"), encoding="utf-8") as file:
        head, *lines = file.read().splitlines()
    instants = [times.of_text(text) for text in head.split()[-5:]]
    return [(name, us, int(offset)) for name, *offsets in map(str.split, lines) for us, offset in zip(instants, offsets)]


def load(sluice, options, header, rows):
    """What becomes of each row of a CSV file, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "table.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(header)
            writer.writerows(rows)
        found, status, errors, _ = runs.dry_run(sluice, options, [path])
    if len(found) != len(rows):
        return [{"reason": f"{len(found)} of {len(rows)} rows, exit status {status}: {errors.strip()[:200]}"}] * len(rows)
    return found


def check_cells(sluice):
    """The kind of a number is told by its value alone: JSON does not tell 1 from 1.0."""
    rows, faults = table("cells.json"), []
    for row in rows:
        if not same(values.cell(row["cell"], row.get("column")), row.get("value")):
            faults.append(f"{row}: {values.cell(row['cell'], row.get('column'))!r} by Python")
    for column in (None, "number", "text"):
        own = [row for row in rows if row.get("column") == column]
        if sluice:
            found = load(
                sluice, [f"--{column}", "v"] if column else [], ["user_id", "event", "timestamp", "v"], [["u", "e", "2025-01-05", row["cell"]] for row in own])
            for row, record in zip(own, found):
                got = record["event"]["properties"].get("v") if "event" in record else record
                if not same(got, row.get("value")):
                    faults.append(f"{row}: {got!r}")
    return len(rows), faults


def check_times(sluice):
    rows, faults = table("times.json"), []
    groups = {}
    for row in rows:
        groups.setdefault((row.get("format"), row.get("zone")), []).append(row)
    for (form, zone), own in groups.items() if sluice else ():
        options = (["--timestamp-format", form] if form else []) + (["--time-zone", zone] if zone else [])
        for row, record in zip(own, load(sluice, options, ["user_id", "event", "timestamp"], [["u", "e", row["text"]] for row in own])):
            want = None if row["microseconds"] is None else times.shown(row["microseconds"])
            got = record["event"]["timestamp"] if "event" in record else None
            if got != want:
                faults.append(f"{row}: {got}, expected {want} {record.get('reason', '')}")
    return len(rows), faults


def check_zones(sluice):
    """Each zone's local times at the instants, read back."""
    faults, named = [], {}
    for name, us, offset in zones():
        named.setdefault(name, []).append((us, offset))
    for name, own in named.items() if sluice else ():
        local = [times.shown(us + offset * 1_000_000).removesuffix("Z") for us, offset in own]
        found = load(sluice, ["--time-zone", name], ["user_id", "event", "timestamp"], [["u", "e", text] for text in local])
        for (us, offset), record in zip(own, found):
            got = record["event"]["timestamp"] if "event" in record else record
            if got != times.shown(us):
                faults.append(f"{name}: {got}, expected {times.shown(us)}")
    return len(named), faults


def main():
    sluice = sys.argv[1] if sys.argv[1:] else None
    failed = 0
    for name, check in (("cells.json", check_cells), ("times.json", check_times), ("zones.txt", check_zones)):
        count, faults = check(sluice)
        print(f"{name}: {count} rows, {f'{len(faults)} differences' if faults else 'as expected'}")
        for fault in faults[:40]:
            print(f"  {fault}")
        failed += len(faults)
    if subprocess.run([sys.executable, os.path.join(HERE, "time_cases.py"), "check"], stdout=subprocess.DEVNULL).returncode:
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
