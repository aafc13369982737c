"""Lean clients for loading: appends over HTTP/2 with prior knowledge, and NDJSON over HTTP/1.1.

Bodies are built before. What the client still costs: about 0.4 ms of one core per MB sent over HTTP/2 (cutting the body
into DATA frames, writing them with one sendmsg a window) and about 0.3 ms per NDJSON request, the copy into the socket
included. `Loaded.client_cpu` has what a run took, so a report can say how much of a shared machine the client had. Each
connection is a thread that waits for its answer before it sends the next body; sockets let go of the interpreter lock.
"""

import http.client
import json
import queue
import resource
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
APPEND_RESULT, ERROR = 4, 16
OVERLOADED = 16
WAIT_CODES = {OVERLOADED, 17, 28}  # overloaded, not ready, unreachable: nothing was stored


@dataclass
class Loaded:
    """What a load did."""

    rows: int = 0
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    failure: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def rate(self):
        return self.rows / self.seconds if self.seconds else 0.0


class WireError(Exception):
    """The server said no, or the connection broke."""


def head(kind, flags, stream, length):
    return struct.pack(">I", length)[1:] + bytes((kind, flags)) + struct.pack(">I", stream)


def plain_header(name, value):
    """A header field, literal and never indexed, without Huffman codes."""
    name, value = name.encode(), value.encode()
    return bytes((0x10, len(name))) + name + bytes((len(value),)) + value


class AppendConnection:
    """One connection, one append at a time."""

    def __init__(self, address, timeout=60):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.stream = -1
        self.window, self.initial, self.frame = 65_535, 65_535, 16_384
        self.stream_window = 0
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":authority": address,
            ":path": "/sluice/v1/append",
            "content-type": "application/x-sluice",
        }
        self.headers = b"".join(plain_header(*pair) for pair in fields.items())
        settings = struct.pack(">HI", 1, 0)  # no table for header compression: every answer can be read on its own
        self.socket.sendall(PREFACE + head(SETTINGS, 0, 0, len(settings)) + settings)
        while not self._receive()[0] == SETTINGS:
            pass

    def close(self):
        self.socket.close()

    def _take(self, count):
        while len(self.buffer) < count:
            part = self.socket.recv(1 << 18)
            if not part:
                raise WireError("the server closed the connection")
            self.buffer += part
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def _receive(self):
        """The next frame; connection matters are dealt with here."""
        first = self._take(9)
        kind, flags, stream = first[3], first[4], int.from_bytes(first[5:9], "big")
        payload = self._take(int.from_bytes(first[:3], "big"))
        if kind == SETTINGS and not flags & 1:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == 4:
                    self.stream_window += value - self.initial
                    self.initial = value
                elif name == 5:
                    self.frame = value
            self.socket.sendall(head(SETTINGS, 1, 0, 0))
        elif kind == PING and not flags & 1:
            self.socket.sendall(head(PING, 1, 0, 8) + payload)
        elif kind == WINDOW:
            size = int.from_bytes(payload, "big")
            if stream == 0:
                self.window += size
            elif stream == self.stream:
                self.stream_window += size
        elif kind == GOAWAY:
            raise WireError("the server said goodbye")
        elif kind == RESET and stream == self.stream:
            raise WireError(f"the stream was reset with {int.from_bytes(payload, 'big')}")
        return kind, flags, stream, payload

    def append(self, body):
        """Sends one request; gives the bytes of its answer."""
        self.stream += 2
        self.stream_window = self.initial
        view, sent, size = memoryview(body), 0, len(body)
        pieces = [head(HEADERS, 4, self.stream, len(self.headers)), self.headers]
        while True:
            room = min(self.window, self.stream_window, size - sent)
            self.window -= room
            self.stream_window -= room
            end = sent + room
            while sent < end:
                step = min(self.frame, end - sent)
                pieces += [head(DATA, 1 if sent + step == size else 0, self.stream, step), view[sent : sent + step]]
                sent += step
            self._send(pieces)
            pieces = []
            if sent == size:
                break
            kind, _, stream, payload = self._receive()
            if stream == self.stream and kind in (HEADERS, DATA):
                raise WireError(f"answered before all was sent: {payload[-200:]!r}")
        answer = b""
        while True:
            kind, flags, stream, payload = self._receive()
            if stream != self.stream or kind not in (HEADERS, DATA):
                continue
            if kind == DATA:
                answer += payload
                if payload:
                    self.socket.sendall(head(WINDOW, 0, 0, 4) + struct.pack(">I", len(payload)))
            if flags & 1:
                return answer

    def _send(self, pieces):
        while pieces:
            some, pieces = pieces[:512], pieces[512:]
            sent, whole = self.socket.sendmsg(some), sum(map(len, some))
            if sent < whole:
                self.socket.sendall(b"".join(some)[sent:])


def read_answer(answer):
    """(rows accepted, code, message): code 0 where the rows are durable."""
    if answer[:4] != b"SLC1":
        raise WireError(f"no frame: {answer[:200]!r}")
    kind, compressed, body = answer[6], answer[7], answer[64:]
    if kind == APPEND_RESULT and not compressed:
        value = shift = at = 0
        while True:
            value |= (body[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if body[at - 1] < 128:
                break
        if body[at + 1]:
            raise WireError(f"of a batch only {value} rows were taken, {body[at + 1]} or more were rejected")
        if body[at + 2]:
            # A shard was busy: the whole frame is sent again, under the same sequence.
            return 0, OVERLOADED, f"only {value} rows were taken yet"
        return value, 0, ""
    if kind == ERROR and not compressed:
        code, length = struct.unpack_from("<H", body)[0], body[8]
        return 0, code, bytes(body[9 : 9 + length]).decode("utf-8", "replace")
    raise WireError(f"an answer of kind {kind}, compressed {compressed}")


def run_threads(bodies, connections, work, cap=600):
    """Runs `work(next_body, loaded)` on so many threads over the bodies, and measures it."""
    pending = queue.SimpleQueue()
    loaded, stop = Loaded(), time.monotonic() + cap
    for body in bodies if isinstance(bodies, list) else ():
        pending.put(body)
    source, source_lock = (None, None) if isinstance(bodies, list) else (iter(bodies), threading.Lock())

    def following():
        if loaded.failure:
            return None
        if time.monotonic() > stop:
            loaded.failure = f"not done in {cap} s"
            return None
        if source is not None:
            with source_lock:
                return next(source, None)
        try:
            return pending.get_nowait()
        except queue.Empty:
            return None

    def guarded():
        try:
            work(following, loaded)
        except Exception as error:  # a thread must not die without a word
            loaded.failure = loaded.failure or f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=guarded, daemon=True) for _ in range(connections)]
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loaded.seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    loaded.client_cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if loaded.failure:
        raise WireError(loaded.failure)
    return loaded


def note(loaded, rows, repeats):
    with loaded.lock:
        loaded.rows += rows
        loaded.requests += 1
        loaded.repeats += repeats


def load_wire(address, bodies, connections=2, cap=600):
    """Appends every body (a list, or whatever iterates); counts rows that were acknowledged."""

    def work(following, loaded):
        connection = AppendConnection(address)
        try:
            while (body := following()) is not None:
                repeats = 0
                while True:
                    rows, code, message = read_answer(connection.append(body))
                    if code == 0:
                        break
                    if code not in WAIT_CODES or repeats > 200:
                        raise WireError(f"error {code}: {message}")
                    repeats += 1
                    time.sleep(0.05)
                note(loaded, rows, repeats)
        finally:
            connection.close()

    return run_threads(bodies, connections, work, cap)


def load_ndjson(address, bodies, connections=4, cap=600):
    """Posts every body to /v1/events."""
    host, port = address.rsplit(":", 1)
    headers = {"Content-Type": "application/x-ndjson"}

    def work(following, loaded):
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            while (body := following()) is not None:
                repeats = 0
                while True:
                    connection.request("POST", "/v1/events", body, headers)
                    response = connection.getresponse()
                    text = response.read()
                    if response.status == 200:
                        break
                    if response.status != 503 or repeats > 200 or b'"retry":[' in text.replace(b" ", b""):
                        raise WireError(f"HTTP {response.status}: {text[:300]!r}")
                    repeats += 1
                    time.sleep(0.05)
                answer = json.loads(text)
                if answer["rejected"]:
                    raise WireError(f"rejected: {answer['rejected'][:3]}")
                note(loaded, answer["accepted"], repeats)
        finally:
            connection.close()

    return run_threads(bodies, connections, work, cap)
