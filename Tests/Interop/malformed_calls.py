"""How `malformed.py` sends: HTTP/2 calls, HTTP/1.1 and bare bytes, each with the answers that are in order."""

import socket
import time

from answers import decode_answer
from errors import ERRORS, SluiceError
from frames import MIB
from http2 import PREFACE, Http2Connection, h2_frame, split_address
from http2_headers import hpack_encode

PATIENCE = 15.0  # a complete request without an answer for so long is a hang


class Hang(Exception):
    pass


class Bad(Exception):
    """The server answered, but not as it should."""


def connect(address):
    sock = socket.create_connection(split_address(address), PATIENCE)
    sock.settimeout(PATIENCE)
    return sock


def send_quietly(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


def read_until_closed(sock, patience, most=4 * MIB):
    """(bytes, closed): what comes until the server closes, or the time is up."""
    out, until = bytearray(), time.monotonic() + patience
    while len(out) < most:
        left = until - time.monotonic()
        if left <= 0:
            return bytes(out), False
        sock.settimeout(left)
        try:
            part = sock.recv(65536)
        except socket.timeout:
            return bytes(out), False
        except OSError:
            return bytes(out), True
        if not part:
            return bytes(out), True
        out += part
    return bytes(out), False


# Paths that only services may call, at some service at least.
SERVICES = ("append", "shard-append", "partial-query", "partial-users", "snapshot")


def post(address, path, data, expect=None, content_type="application/x-sluice"):
    """One well-formed HTTP/2 call with a body that may be anything. The answer must be in order."""
    connection = Http2Connection(address, PATIENCE)
    try:
        status, answer = connection.call("/sluice/v1/" + path, [("content-type", content_type)], data, PATIENCE)
    except SluiceError as error:
        if error.name == "deadline_exceeded":
            raise Hang(f"{path}: no answer to {len(data)} bytes") from None
        return f"h2 {error.name}"
    finally:
        connection.close()
    if status != 200:
        if status not in (400, 413, 404, 405, 415):
            raise Bad(f"status {status}")
        return f"h2 status {status}"
    try:
        decode_answer(answer)
        told = "ok"
    except SluiceError as error:
        told = error.name
        if told in ("internal", "truncated_answer") or error.code not in ERRORS:
            raise Bad(f"{path}: {told}: {error.message}") from None
    if told == "not_authenticated" and path in SERVICES:
        # Told from the header of the request, whatever its body is.
        return f"answer {told}"
    if expect and told not in expect:
        raise Bad(f"{path}: {told}, expected {' or '.join(sorted(expect))}")
    return f"answer {told}"


def http1(address, request, patience=PATIENCE):
    """Raw bytes to an HTTP port; a whole request must be answered."""
    with connect(address) as sock:
        send_quietly(sock, request)
        answer, closed = read_until_closed(sock, patience)
    if not answer:
        if not closed and patience == PATIENCE:
            raise Hang("no answer and not closed")
        return "http closed" if closed else "http silent"
    if not answer.startswith(b"HTTP/1."):
        raise Bad(f"not HTTP: {answer[:60]!r}")
    status = int(answer[9:12])
    if status >= 500 and status not in (501, 503, 505):
        raise Bad(f"status {status}: {answer[-300:]!r}")
    return f"http status {status}"


def request_head(method, path, length, content_type, *more):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Type: {content_type}"]
    return ("\r\n".join(lines + ([] if length is None else [f"Content-Length: {length}"]) + list(more))
            + "\r\n\r\n").encode("latin-1")


HELLO_H2 = PREFACE + h2_frame(4, 0, 0)


def open_headers(path="/sluice/v1/health", content_type="application/x-sluice", *more):
    return hpack_encode([(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
                         ("content-type", content_type), *more])


def hpack_indexing(name, value):
    """A literal that enters the dynamic table, where index 62 names it."""
    return b"\x40" + hpack_encode([(name, value)])[1:]


def raw_h2(address, data, must_close=False):
    with connect(address) as sock:
        send_quietly(sock, data)
        answer, closed = read_until_closed(sock, 5.0 if must_close else 0.05)
    if must_close and not closed and not any(kind == 7 for kind in h2_kinds(answer)):
        raise Bad("a broken connection is neither closed nor told GOAWAY")
    return "raw closed" if closed else "raw open"


def h2_kinds(data):
    at = 0
    while at + 9 <= len(data):
        yield data[at + 3]
        at += 9 + int.from_bytes(data[at:at + 3], "big")
