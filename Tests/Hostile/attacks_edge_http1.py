"""Attacks on HTTP/1.1 and on slow starts: requests that two parsers would read differently, heads, bodies and handshakes without end."""

import itertools
import json
import re
import socket
import threading
import time

from case import attempt
from raw import connect, http_head, is_open, start_of_http2
from servers import ADMIN, READ, WRITE, ask

CHUNKED = b"Transfer-Encoding: chunked\r\n"


def smuggled(line, key, good):
    """What and bytes, for a request line with Host, a key, and a body: every one must be refused, and nothing behind it be answered."""
    length, line = b"Content-Length: %d\r\n" % len(good), line + key
    size, end = b"%x" % len(good), b"0\r\n\r\n"
    chunk = size + b"\r\n" + good + b"\r\n"
    whole = chunk + end

    def coded(value, more=b""):
        return line + more + b"Transfer-Encoding:" + value + b"\r\n\r\n" + whole

    def chunks(text):
        return line + CHUNKED + b"\r\n" + text

    def sized(value):
        return line + b"Content-Length:" + value + b"\r\n\r\n" + good

    number = b" %d" % len(good)
    return [
        # The end of the body by length, or by chunks.
        ("length, then chunks", coded(b" chunked", length)), ("chunks, then length", line + CHUNKED + length + b"\r\n" + whole),
        ("length of no body, then chunks", coded(b" chunked", b"Content-Length: 0\r\n")),
        ("two lengths that differ", line + length + b"Content-Length: 3\r\n\r\n" + good),
        ("the same length twice", line + length + length + b"\r\n" + good), ("a list of lengths", sized(number + b"," + number)),
        ("a length with a sign", sized(b" +%d" % len(good))), ("a negative length", sized(b" -1")),
        ("a length in hexadecimal", sized(b" 0x" + size)), ("a length of 2^64 and more", sized(b" %d" % (len(good) + (1 << 64)))),
        ("a length of 30 digits", sized(b" " + b"9" * 30)), ("a length with a space in it", sized(number[:2] + b" " + number[2:])),
        ("no length", sized(b"")), ("a length with NUL", sized(number + b"\x00")),
        # Line ends, and what makes a field.
        ("bare LF everywhere", (line + length + b"\r\n").replace(b"\r\n", b"\n") + good),
        ("a bare LF in the head", line + length.replace(b"\r\n", b"\n") + b"\r\n" + good),
        ("a bare LF as its end", line + length + b"\n" + good), ("a bare CR in a value", line + length + b"X-A: 1\r2\r\n\r\n" + good),
        ("a folded field", line + length + b"X-A: 1\r\n  2\r\n\r\n" + good), ("a folded coding", coded(b"\r\n chunked", length)),
        ("a first field that begins with a space", line.replace(b"\r\n", b"\r\n ", 1) + length + b"\r\n" + good),
        ("a space before the colon of the length", line + length.replace(b":", b" :") + b"\r\n" + good),
        ("a space before the colon of the coding", line + length + CHUNKED.replace(b":", b" :") + b"\r\n" + whole),
        ("a tab before the colon", line + length + CHUNKED.replace(b":", b"\t:") + b"\r\n" + whole),
        ("a field without a name", line + length + b": 1\r\n\r\n" + good),
        ("a field without a colon", line + length + b"X-A\r\n\r\n" + good),
        ("NUL in a name", line + length + b"Transfer-Encoding\x00: chunked\r\n\r\n" + whole),
        ("no host", line.replace(b"Host: localhost\r\n", b"") + length + b"\r\n" + good),
        ("chunks of HTTP/1.0", line.replace(b" HTTP/1.1", b" HTTP/1.0") + CHUNKED + b"\r\n" + whole),
        ("two hosts", line + b"Host: other\r\n" + length + b"\r\n" + good),
        # Codings that one of two parsers does not know.
        ("coding xchunked", coded(b" xchunked")), ("coding \"chunked\"", coded(b' "chunked"')), ("coding gzip", coded(b" gzip")),
        ("coding identity", coded(b" identity", length)), ("coding identity, chunked", coded(b" identity, chunked")),
        ("coding gzip, chunked", coded(b" gzip, chunked")), ("coding chunked, identity", coded(b" chunked, identity")),
        ("coding chunked, chunked", coded(b" chunked, chunked")), ("coding chunked twice", line + CHUNKED * 2 + b"\r\n" + whole),
        ("coding chunked, and then identity", line + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + whole),
        ("coding with a vertical tab", coded(b" \x0bchunked", length)),
        ("a length and an empty coding", line + length + b"Transfer-Encoding:\r\n\r\n" + good),
        ("an empty coding and a length", line + b"Transfer-Encoding:\r\n" + length + b"\r\n" + good),
        # Chunks.
        ("a chunk of 2^64 and more", chunks(b"10000000000000000" + size + b"\r\n" + good + b"\r\n" + end)),
        ("a negative chunk", chunks(b"-1\r\n" + good + b"\r\n" + end)),
        ("a chunk size with 0x", chunks(b"0x" + whole)), ("a chunk size with a sign", chunks(b"+" + whole)),
        ("a chunk size with a space after it", chunks(whole.replace(b"\r\n", b" \r\n", 1))), ("with a space before it", chunks(b" " + whole)),
        ("a bare LF after the chunk size", chunks(whole.replace(b"\r\n", b"\n", 1))),
        ("a bare LF after the chunk", chunks(size + b"\r\n" + good + b"\n" + end)), ("bare LF at the end", chunks(chunk + b"0\n\n")),
        ("a chunk that is longer than its size", chunks(b"%x\r\n" % (len(good) - 1) + good + b"\r\n" + end)),
        ("a bare LF in a chunk extension", chunks(size + b";a\nb\r\n" + good + b"\r\n" + end)),
        ("a chunk extension of 200 KB", chunks(size + b";a=" + b"b" * 200_000 + b"\r\n" + good + b"\r\n" + end)),
        ("a chunk extension of 20 MB", chunks(size + b";a=" + b"b" * 20_000_000 + b"\r\n" + good + b"\r\n" + end)),
        ("a chunk size of a million zeros", chunks(b"0" * 1_000_000 + whole)),
        ("a length as a trailer", chunks(chunk + b"0\r\nContent-Length: 5\r\n\r\n")),
        ("a trailer of 20 MB", chunks(chunk + b"0\r\nX-A: " + b"a" * 20_000_000 + b"\r\n\r\n")),
        # Request lines.
        ("no version", line.replace(b" HTTP/1.1", b"", 1) + length + b"\r\n" + good),
        ("a tab in the request line", line.replace(b" ", b"\t", 1) + length + b"\r\n" + good),
        ("HTTP/2 over HTTP/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]


def exchange(address, text, patience=5):
    """Statuses of all answers, and whether the other side closed the connection."""
    with connect(address, timeout=patience) as made:
        sender = threading.Thread(target=send, args=(made, text), daemon=True)
        sender.start()
        answer, closed = b"", True
        try:
            while part := made.recv(65_536):
                answer += part
        except socket.timeout:
            closed = False
        except OSError:
            pass  # reset, since it sent more than was read
        sender.join(patience)
    return re.findall(rb"HTTP/1\.[01] (\d+)", answer), closed


def send(made, text):
    try:
        made.sendall(text)
    except OSError:
        pass  # the other side does not want the rest


@attempt("E12", "HTTP/1.1: requests that two parsers would read differently")
def smuggling(case):
    """both lengths, double lengths, bare LF, folded fields, space before the colon, codings, chunk sizes and extensions.
    Each is refused, the connection closes, and no second request of it is answered."""
    cluster = case.up()
    event = b'[{"user_id":"%s","event":"%s","timestamp":"2026-01-01T00:00:00Z"}]'
    query = json.dumps({"funnel": {"steps": ["Odd"]}}).encode()
    funnel = json.dumps({"steps": ["A", "B"]}).encode()
    hidden = {
        "ingest": http_head("/v1/events", len(event % (b"s", b"Smuggled")), WRITE[1]) + event % (b"s", b"Smuggled"),
        "coordinator": http_head("/v1/funnels/smuggled", len(funnel), ADMIN[1], method="PUT") + funnel}
    ports = [("ingest", cluster.ingest, b"/v1/events", WRITE[1], event % (b"o", b"Odd")),
             ("coordinator", cluster.coordinator, b"/v1/query", READ[1], query)]
    with case.attack():
        for member, address, path, key, good in ports:
            refused, answered, open_still = 0, [], []
            variants = smuggled(b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n", f"Authorization: Bearer {key}\r\n".encode(), good)
            for what, text in variants:
                statuses, closed = exchange(address, text + hidden[member])
                fine = len(statuses) <= 1 and all(status in (b"400", b"413", b"431", b"501", b"505") for status in statuses)
                refused += fine and closed
                answered += [] if fine else [f"{what}: {b' '.join(statuses).decode()}"]
                open_still += [] if closed else [what]
            case.say(f"{member}: {refused} of {len(variants)} refused and closed")
            case.check(f"{member}: none is answered but by a refusal", not answered, "; ".join(answered))
            case.check(f"{member}: each connection is closed", not open_still, "; ".join(open_still))
            small = [text for _, text in variants if len(text) < 10_000]
            deadline = time.monotonic() + case.seconds / 2
            case.join(case.threads(4, lambda n: over_and_over(address, small, deadline)), case.seconds * 2)
    case.check("nothing of them is stored", case.count(1, "Odd")[0] == 0 and case.count(1, "Smuggled")[0] == 0)
    status, _, _ = ask(cluster.coordinator, "/v1/funnels/smuggled", key=READ[1])
    case.check("no funnel is saved", status == 404, status)
    # The same requests count when they are sent as they should be: else none of the above would mean anything.
    for member, address, path, key, good in ports:
        statuses, _ = exchange(address, http_head(path.decode(), len(good), key) + good + hidden[member], 1)
        case.check(f"{member}: two requests in a row are answered", len(statuses) == 2 and set(statuses) <= {b"200", b"201"}, statuses)


def over_and_over(address, texts, deadline):
    for text in itertools.cycle(texts):
        if time.monotonic() > deadline:
            return
        exchange(address, text, 3)


@attempt("E13", "heads, bodies and prefaces that come a byte at a time")
def slow_starts(case):
    """S7: an HTTP head may take 60 s, and every such connection takes a place."""
    cluster = case.up()
    wires = [("ingest", cluster.ingest_wire), ("coordinator", cluster.coordinator_wire), ("shard 0", cluster.shard(0, "wire"))]
    kinds = [("HTTP head, ingest", cluster.ingest, b"POST /v1/events HTTP/1.1\r\nX-Slow: "),
             ("HTTP head, coordinator", cluster.coordinator, b"POST /v1/query HTTP/1.1\r\nX-Slow: "),
             ("HTTP body, ingest", cluster.ingest, http_head("/v1/events", 1_000, WRITE[1])),
             ("HTTP body, coordinator", cluster.coordinator, http_head("/v1/query", 1_000, READ[1]))]
    kinds += [(f"HTTP/2 preface, {who}", address, b"PRI * HT") for who, address in wires]
    begun = start_of_http2() + b"\x00\x40\x00\x01\x00\x00\x00\x00\x01"
    kinds += [(f"HTTP/2 header block, {who}", address, begun) for who, address in wires]
    count = case.pick(100, 20)
    with case.attack():
        started, made, lived = time.monotonic(), {}, {}
        for what, address, first in kinds:
            made[what] = [connect(address) for _ in range(count)]
            for one in made[what]:
                send(one, first)
        while time.monotonic() - started < 40 and any(made.values()):
            time.sleep(1)
            for what in made:
                for one in made[what]:
                    send(one, b"x")
                made[what] = [one for one in made[what] if is_open(one)]
                if not made[what]:
                    lived.setdefault(what, time.monotonic() - started)
    ends = ", ".join(f"{what} {lived.get(what, 99):.0f} s" for what, _, _ in kinds)
    case.say(f"{count} of each, a byte a second, closed after: {ends}")
    for what, _, _ in kinds:
        case.check(f"slow {what} is ended within 35 s", lived.get(what, 99) <= 35, f"{lived.get(what, 'never')}")
