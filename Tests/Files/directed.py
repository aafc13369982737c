"""Files that are large in one way: a line without an end, quotes without an end, zeros. They take little memory and cost their own lines."""

import gzip
import json
import os
import tempfile
import zlib

import runs

MIB = 1 << 20
HEADER = b"user_id,event,timestamp,note\n"
GOOD = b"u,e,2025-01-05T10:20:30Z,x\n"
GOOD_JSON = json.dumps({"user_id": "u", "event": "e", "timestamp": "2025-01-05T10:20:30Z"}).encode() + b"\n"


def stream(*parts):
    """Parts are bytes, or (bytes, times): so many of them, in pieces of 1 MiB."""
    def feed(pipe):
        for part in parts:
            if isinstance(part, bytes):
                pipe.write(part)
                continue
            piece = part[0] * (MIB // len(part[0]))
            for _ in range(part[1] * len(part[0]) // len(piece)):
                pipe.write(piece)
    return feed


def zeros(path, head, count):
    """A gzip file of `head`, so many MiB of zeros and a good line."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    with open(path, "wb") as file:
        file.write(pack.compress(head))
        for _ in range(count):
            file.write(pack.compress(bytes(MIB)))
        file.write(pack.compress(b"\n" + GOOD) + pack.flush())


# A case: name, what is fed or written to a file, the verdicts as [first line, last line, accepted], None for an error of the file as a
# whole or rejected records, whichever the program finds.
def cases(folder):
    def written(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    yield "a line of 300 MB", stream(HEADER, GOOD, (b"x", 300 * MIB), b"\n", GOOD), [[2, 2, True], [3, 3, False], [4, 4, True]]
    yield "a line of 300 MB without an end", stream(HEADER, GOOD, (b"x", 300 * MIB)), [[2, 2, True], [3, 3, False]]
    yield "a first line of 300 MB", stream((b"x", 300 * MIB), b"\n", GOOD), None
    yield "a line of 300 MB of separators", stream(HEADER, (b",", 300 * MIB), b"\n", GOOD), [[2, 2, False], [3, 3, True]]
    yield "an object of 300 MB without an end", stream(GOOD_JSON, b'{"user_id":"', (b"x", 300 * MIB)), [[1, 1, True], [2, 2, False]]
    yield "an object of 300 MB", stream(b'{"user_id":"', (b"x", 300 * MIB), b'"}\n', GOOD_JSON), [[1, 1, False], [2, 2, True]]
    yield "300 MB of open brackets", stream(GOOD_JSON, b'{"a":', (b"[", 300 * MIB), b"\n", GOOD_JSON), [[1, 1, True], [2, 2, False], [3, 3, True]]
    yield "1 MiB and one quotes", stream(HEADER, b'"' * (MIB + 1) + b"\n", GOOD), [[2, 2, False], [3, 3, True]]
    yield "1 MiB of quotes", stream(HEADER, b'"' * MIB + b"\n", GOOD), [[2, 2, False], [3, 3, True]]
    lines = 2 * MIB // len(GOOD)
    yield "a quote that closes after 2 MiB", stream(HEADER, b'"u\n', GOOD * lines, b'",e,1,x\n', GOOD), (
        [[2, 2, False]] + [[n, n, True] for n in range(3, 3 + lines)] + [[3 + lines, 3 + lines, False], [4 + lines, 4 + lines, True]])
    yield "a quote that never closes", stream(HEADER, b'u,"e,1,x\n', GOOD * 3), [[2, 2, False], [3, 3, True], [4, 4, True], [5, 5, True]]
    yield "nested objects", stream(GOOD_JSON, b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n", GOOD_JSON), [[1, 1, True], [2, 2, False], [3, 3, True]]
    bomb = os.path.join(folder, "bomb.csv.gz")
    zeros(bomb, b"", 1024)
    yield "a gzip file of 1 GiB of zeros", bomb, None
    behind = os.path.join(folder, "behind.csv.gz")
    zeros(behind, HEADER + GOOD, 1024)
    yield "1 GiB of zeros behind a header", behind, [[2, 2, True], [3, 3, False], [4, 4, True]]
    yield "a file of NULs", written("nuls.csv", bytes(MIB)), None
    yield "100,000 gzip members", written("members.csv.gz", gzip.compress(HEADER) + gzip.compress(GOOD) * 100_000), (
        [[n, n, True] for n in range(2, 100_002)])
    yield "a million empty lines", stream(HEADER, (b"\n", MIB), GOOD), [[MIB + 2, MIB + 2, True]]


def check(sluice):
    """The number of cases that fail."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, source, expected in cases(folder):
            path = source if isinstance(source, str) else "-"
            found, status, errors, peak = runs.dry_run(sluice, [], [path], feed=None if path != "-" else source)
            records = [[*record["lines"], "event" in record] for record in found]
            faults = [f"{peak >> 20} MB of memory"] if peak > runs.MOST_MEMORY else []
            if status not in (0, 1, 3):
                faults.append(f"exit status {status}: {errors.strip()[-300:]}")
            if status == 1 and runs.words_fault(errors):
                faults.append(runs.words_fault(errors))
            if expected is None and status == 0:
                faults.append("exit status 0")
            if expected is not None and (records != expected or status != (0 if all(e[2] for e in expected) else 3)):
                at = next((i for i, (a, b) in enumerate(zip(records, expected)) if a != b), min(len(records), len(expected)))
                faults.append(f"exit status {status}, {len(records)} records, from the {at + 1}th on {records[at:at + 2]}, expected "
                              f"{len(expected)} and {expected[at:at + 2]}: {errors.strip()[:300]}")
            print(f"{name}: {'; '.join(faults) or 'as expected'}, {peak >> 20} MB")
            failed += bool(faults)
    return failed
