"""Callers who ask and do not read, requests that two parsers would read differently, and half-open TLS handshakes."""

import json
import os
import secrets
import socket
import struct
import subprocess
import time

import servers
import wire
from case import attempt
from raw import HEADERS, SETTINGS, DATA, Http2, connect, http_head, is_open, read_answer
from rows import DAY, event, now_us, send
from servers import READ, WRITE


def deaf_connection(address):
    """A connection whose small buffer soon keeps the other side from writing."""
    host, port = address.rsplit(":", 1)
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(10)
    made.connect((host, int(port)))
    return made


@attempt("X1", "callers who do not read their answers")
def deaf_readers(case):
    """Not in the findings: large answers (lists of users, live reports) that are asked for over HTTP and over the wire with a window of
    zero, and never read. What is held for them must have a bound, and others must not wait."""
    cluster = case.up()
    with case.client(1) as writer:
        send(writer, [event(f"{n:06}" + secrets.token_hex(200), "Long", now_us() - DAY + n) for n in range(20_000)], 10_000)
    body = json.dumps({"funnel": {"steps": ["Long"]}, "step": 1, "limit": 10_000}).encode()
    live = json.dumps({"funnel": {"steps": ["Long"]}, "breakdown": {"property": "p", "k": 1000}}).encode()
    fields = wire.hpack_encode([(":method", "POST"), (":scheme", "http"), (":path", "/sluice/v1/users"), (":authority", "x"),
                                ("content-type", "application/x-sluice"), ("authorization", "Bearer " + READ[1])])
    held, count = [], case.pick(360, 90)

    def by_http(path, data):
        one = deaf_connection(cluster.coordinator)
        held.append(one)
        one.sendall(http_head(path, len(data), READ[1], more=("Content-Type: application/json",)) + data)

    def by_wire(number):
        """Ninety calls a connection."""
        if number % 90 == 0:
            held.append(Http2(cluster.coordinator_wire))
            held[-1].send(wire.h2_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
        stream = number % 90 * 2 + 1
        frame = wire.encode_frame(wire.Frame(wire.USERS_QUERY, body, 0, number + 1), False)
        held[-1].send(wire.h2_frame(HEADERS, 4, stream, fields) + wire.h2_frame(DATA, 1, stream, frame))

    def patiently(what, ask_one):
        """A few at a time, so that no line is too long: the answers are made, and nobody takes them."""
        before = servers.status_field(cluster.pids()["coordinator"], "RssAnon") >> 10
        for number in range(count):
            ask_one(number)
            for _ in range(100 if number % 6 == 5 else 0):
                time.sleep(0.05)
                now = case.metrics("coordinator")
                if now["sluice_queries_running"] + now["sluice_queries_queued"] < 3:
                    break
        time.sleep(1)
        grown = (servers.status_field(cluster.pids()["coordinator"], "RssAnon") >> 10) - before
        case.say(f"{count} times {what}, not read: {grown:+} MiB in the coordinator")
        case.check(f"{what}: unread answers hold at most 256 MiB", grown <= 256, f"{grown} MiB")

    with case.attack():
        patiently("a list of 10,000 users over HTTP", lambda number: by_http("/v1/query/users", body))
        patiently("the same over the wire, with a window of zero", by_wire)
        patiently("/v1/live", lambda number: by_http("/v1/live", live))
        for one in held:
            one.close()


@attempt("X2", "odd heads and bodies")
def odd_requests(case):
    """Not in the findings: heads of every odd kind, odd encodings of bodies (E12 has what request smuggling is made of). None may be stored
    by halves, none may hang, and the service lives."""
    cluster = case.up(honest=False)
    good = b'[{"user_id":"odd","event":"Odd","timestamp":"2026-01-01T00:00:00Z"}]'
    key = f"Authorization: Bearer {WRITE[1]}\r\n".encode()
    size = f"Content-Length: {len(good)}\r\n".encode()
    line = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"
    requests = [
        ("NUL in a header", line + key + size + b"X-A: 1\x002\r\n\r\n" + good, (b"400",)),
        ("a header of 100 KB", line + key + size + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n" + good, (b"400", b"431")),
        ("2,000 headers", line + key + size + b"".join(b"X-%d: 1\r\n" % n for n in range(2_000)) + b"\r\n" + good, (b"200", b"400", b"431")),
        ("no host", b"POST /v1/events HTTP/1.1\r\n" + key + size + b"\r\n" + good, (b"400", b"200")),
        ("a path of 100 KB", b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (b"400", b"404", b"414", b"431")),
        ("HTTP/9.9", b"POST /v1/events HTTP/9.9\r\nHost: x\r\n" + key + size + b"\r\n" + good, (b"400", b"505")),
        ("two keys", line + key + key.replace(b"one", b"two") + size + b"\r\n" + good, (b"400", b"401", b"200")),
        ("garbage", os.urandom(1000), (b"400",)),
        ("gzip that is none", line + key + size + b"Content-Encoding: gzip\r\n\r\n" + good, (b"400",)),
        ("an encoding nobody knows", line + key + size + b"Content-Encoding: br\r\n\r\n" + good, (b"400", b"415")),
        ("gzip twice", line + key + size + b"Content-Encoding: gzip, gzip\r\n\r\n" + good, (b"400", b"415")),
        ("half a body, then the end", line + key + size + b"\r\n" + good[:20], (b"400", b"408")),
        ("a control: a good one", line + key + size + b"Connection: close\r\n\r\n" + good, (b"200",))]
    stored = 0
    for what, text, wanted in requests:
        with connect(cluster.ingest) as made:
            try:
                made.sendall(text)
                if what.startswith("half"):
                    made.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the answer came before the end of the request
            answer = read_answer(made, 1.5)
        first = answer.split(b"\r\n")[0]
        stored += answer.count(b" 200 OK")
        fine = any(b" " + code + b" " in first for code in wanted) or not answer
        case.check(f"{what}", fine, first[:60].decode("latin-1") or "closed without a word")
        case.check(f"{what}: one answer at most", answer.count(b"HTTP/1.1 ") <= 1, answer[-200:]) if answer.count(b"HTTP/1.1 ") > 1 else None
    counted = case.count(1, "Odd")[0]
    status, _, _ = case.post_events(1, good)
    case.say(f"{len(requests)} odd requests, {stored} of them taken")
    case.check("what was taken is stored, and no more", counted == (1 if stored else 0) and status == 200, f"{counted}, {stored} answers 200")


@attempt("S13", "TLS: `sluice up` is ready, half-open handshakes are ended, weak ciphers refused")
def half_open_tls(case):
    """S13, S7, S20: `sluice up` with TLS never got ready; 300 half-open handshakes on an HTTP port lived for ever; TLS 1.2 took
    AES128-SHA."""
    certificate, key = case.path("cert.pem"), case.path("key.pem")
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                           "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key,
                           "-out", certificate], capture_output=True)
    case.check("openssl makes a certificate", made.returncode == 0, made.stderr[-200:] if made.returncode else "")
    tls = {"SLUICE_TLS_CERT": certificate, "SLUICE_TLS_KEY": key, "SLUICE_TLS_CA": certificate}
    cluster = case.up(variables=tls)
    case.check("`sluice up` with TLS gets ready", True)
    ports = [("ingest, HTTP", cluster.ingest), ("ingest, wire", cluster.ingest_wire), ("coordinator, HTTP", cluster.coordinator),
             ("coordinator, wire", cluster.coordinator_wire), ("shard 0, wire", cluster.shard(0, "wire"))]
    with case.attack():
        halves = {what: [connect(address) for _ in range(300)] for what, address in ports}
        for one in (one for some in halves.values() for one in some):
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        time.sleep(12)
        left = {what: sum(is_open(one) for one in some) for what, some in halves.items()}
        for one in (one for some in halves.values() for one in some):
            one.close()
    case.say("300 half-open handshakes on each port; left after 12 s: " + ", ".join(f"{what} {count}" for what, count in left.items()))
    for what, address in ports:
        case.check(f"{what}: half-open handshakes are ended within 12 s", left[what] == 0, left[what])
        weak = subprocess.run(["openssl", "s_client", "-connect", address, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
        taken = b"Cipher is AES128-SHA" in weak.stdout or b"Cipher    : AES128-SHA" in weak.stdout
        case.check(f"{what}: AES128-SHA is refused", not taken)
    with connect(cluster.ingest) as made:
        made.sendall(http_head("/v1/events", 2, WRITE[1]) + b"[]")
        answer = read_answer(made, 3)
    case.check("plain HTTP is not spoken", b" 200 " not in answer[:20], answer[:40])
