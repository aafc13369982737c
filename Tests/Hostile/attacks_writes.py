"""Writers who use what a write key allows, to others' cost."""

import gzip
import os
import secrets
import time
import zlib

import wire
from case import attempt
from rows import DAY, Encoded, SluiceError, event, now_us

MIB = 1 << 20


@attempt("S2", "1,300 producers of another project, then a repeat")
def forgotten_repeats(case):
    """S2, B13: a repeat is stored twice once 1,024 other producers have written, whoever they were."""
    case.up()
    rows = [event(f"once-{n}", "Once", now_us()) for n in range(40)]
    with case.attack():
        with case.client(2) as honest, case.client(1) as other:
            first = honest.append(rows)
            for number in range(1_300):
                other.append([event(f"p{number}", "Noise", now_us())], sequence=1, producer=secrets.randbits(64))
            with case.client(2) as same:
                # As many producers of the same project: a fleet of short-lived clients.
                for number in range(1_300):
                    same.append([event(f"p{number}", "Fleet", now_us())], sequence=1, producer=secrets.randbits(64))
            again = honest.append(rows, sequence=honest.sequence)
    case.check("first accepted", first["accepted"] == 40 and not first["repeated"], first)
    case.check("the repeat is known", again["repeated"] and again["accepted"] == 40, again)
    case.check("rows are stored once", case.copies(2, "Once") == 1, case.copies(2, "Once"))
    case.say("the repeat was known" if again["repeated"] else "the repeat was forgotten")


@attempt("S4", "gzip and deflate bombs, blanks and bad lines; LZ4 bombs on the wire ports")
def bombs(case):
    """S4: 64 KB of gzip that decode to 33 million items keep ingest busy for a second and take half a gigabyte; six at once make
    others wait 6 s. 64 MiB of blanks or 190,000 bad lines do the same without the memory."""
    case.up()
    items = case.pick(33_000_000, 8_000_000)
    bodies = [("bomb of items", gzip.compress(b"[" + b"1," * items + b"1]", 9), {"Content-Encoding": "gzip"}),
              ("deflate bomb of items", zlib.compress(b"[" + b"1," * items + b"1]", 9), {"Content-Encoding": "deflate"}),
              ("blanks", gzip.compress(b" " * (case.pick(63, 16) * MIB) + b"[]", 9), {"Content-Encoding": "gzip"}),
              ("plain blanks", b" " * (case.pick(60, 15) * MIB), {}),
              ("nesting", gzip.compress(b"[" * (case.pick(60, 15) * MIB), 9), {"Content-Encoding": "gzip"}),
              ("bad lines", b"x\n" * 190_000, {"Content-Type": "application/x-ndjson"}),
              ("bad events", b"[" + b",".join([b"{}"] * 190_000) + b"]", {})]
    with case.attack():
        for what, body, headers in bodies:
            seen, until = [], time.monotonic() + case.pick(12, 4)

            def throw(_):
                while time.monotonic() < until:
                    started = time.monotonic()
                    status, text, _ = case.post_events(1, body, headers)
                    seen.append((time.monotonic() - started, status, text[:90]))

            case.join(case.threads(6, throw), 90)
            statuses = sorted({status for _, status, _ in seen})
            case.say(f"{what}: {len(body) >> 10} KiB, {len(seen)} sent, statuses {statuses}, {max(seen)[0]:.1f} s at most")
        zeros = bytes(16 * MIB - 64)
        block = wire.lz4_encode(zeros)
        # A size that is true, and one that nobody should allocate.
        squeeze(case, "ingest", "append", wire.APPEND, "write", block, len(zeros))
        squeeze(case, "ingest", "append", wire.APPEND, "write", block, (1 << 32) - 1)
        squeeze(case, "coordinator", "query", wire.QUERY, "read", block, len(zeros))
        peak = case.memory.peaks["attack"].get("ingest", 0)
    case.check("ingest stays below 800 MiB", peak < 800, f"{peak:.0f} MiB")
    peak = case.memory.peaks["attack"].get("coordinator", 0)
    case.check("the coordinator stays below 200 MiB", peak < 200, f"{peak:.0f} MiB")


def squeeze(case, member, path, kind, role, block, size):
    """Calls with a compressed frame that says it decodes to this size."""
    seen, until = [], time.monotonic() + case.pick(12, 3)
    header = wire.HEADER.pack(b"SLC1", 1, kind, 1, 0, 1, 0, 0, len(block), size, wire.crc32c(block), bytes(16))
    body = header + wire.crc32c(header).to_bytes(4, "little") + block

    def throw(_):
        with case.client(1, role) as one:
            while time.monotonic() < until:
                started = time.monotonic()
                try:
                    status, answer = one.call_raw(path, body)
                    wire.decode_answer(answer)
                except SluiceError as error:
                    status = error.name
                seen.append((time.monotonic() - started, str(status)))

    case.join(case.threads(6, throw), 90)
    statuses = ", ".join(sorted({status for _, status in seen}))
    case.say(f"{member}, LZ4 of {len(block) >> 10} KiB that says {size >> 20} MiB: {len(seen)} sent, {statuses}, "
             f"{max(seen)[0] if seen else 0:.1f} s at most")


@attempt("S5", "invented event names and property keys")
def spoiled_names(case):
    """S5: ten requests of 2,000 invented names each, and every new event name of the project is refused for good; likewise 2,000
    property keys, and then the whole event is refused."""
    case.up()
    at = now_us() - DAY
    with case.attack():
        with case.client(1) as writer:
            refused = 0
            for number in range(10):
                for kind in ("name", "key"):
                    some = [event(f"u{n}", f"name-{number}-{n}", at) if kind == "name" else
                            event(f"u{n}", "Known", at, **{f"key-{number}-{n}": 1}) for n in range(2_000)]
                    try:
                        refused += len(writer.append(some)["rejected"])
                    except SluiceError as error:
                        case.say(f"{kind}s: {error}"[:200])
            case.say(f"of 40,000 events with invented names and keys {refused:,} were refused")
            case.check("nearly all of the names were refused", refused > 15_000, refused)
            keyed = [event(f"honest-{n}", "Known", at, honest_key=n) for n in range(20)]
            result = writer.append(keyed)
            case.check("an event with a new property key is taken", result["accepted"] == 20, str(result["rejected"][:1]))
        with case.client(1, "admin") as admin:
            new = [event(f"honest-{n}", "Honest New Name", at) for n in range(20)]
            result = admin.append(new)
            case.check("an operator's new event name is taken", result["accepted"] == 20, str(result["rejected"][:1]))
        with case.client(2) as other:
            result = other.append([event("other", "Other New Name", at)])
            case.check("another project's new name is taken", result["accepted"] == 1, result)


@attempt("B13", "what many small requests cost: manifest, memory, and repeats after them")
def producer_table(case):
    """B13: 9 bytes of manifest and 190 bytes of memory a request, up to 9.4 MB of manifest written and synced at every merge."""
    case.up()
    count = case.pick(50_000, 4_000)
    rows = [event(f"once-{n}", "Once", now_us()) for n in range(10)]
    honest = case.client(2)
    honest.append(rows)
    manifest = os.path.join(case.cluster.data, "shard-0", "MANIFEST")
    before = os.path.getsize(manifest)
    with case.attack():
        def trickle(number):
            with case.client(1) as one:
                for n in range(count // 4):
                    one.append([event(f"t{number}-{n % 500}", "Trickle", now_us())])

        started = time.monotonic()
        case.join(case.threads(4, trickle), 300)
        case.say(f"{count:,} requests in {time.monotonic() - started:.0f} s")
    again = honest.append(rows, sequence=1)
    case.check("the repeat is known", again["repeated"], again)
    case.check("stored once", case.copies(2, "Once") == 1)
    # A full table goes into the manifest at the next seal.
    with case.client(1) as one:
        Encoded([event(f"s{n}", "Fill", now_us() - DAY + n) for n in range(200_000)]).send(one)
        for _ in range(5):
            Encoded([event(f"s{n}", "Fill", now_us() - DAY + n) for n in range(200_000)]).send(one)
    time.sleep(case.pick(10, 3))
    after = os.path.getsize(manifest)
    case.say(f"manifest of shard 0: {before:,} bytes before, {after:,} after")
    case.check("the manifest stays below 2 MiB", after < 2 * MIB, f"{after:,}")
    honest.close()
