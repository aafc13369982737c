"""Connections that do what no honest client does: HTTP/2 frames and HTTP/1.1 bytes one by one."""

import socket
import struct
import threading
import time

import wire

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9


def connect(address, source=None, timeout=10):
    """`source`: another address of the loopback net, so that many callers can be played."""
    host, port = address.rsplit(":", 1)
    made = socket.create_connection((host, int(port)), timeout, (source, 0) if source else None)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def start_of_http2():
    return wire.PREFACE + wire.h2_frame(SETTINGS, 0, 0, struct.pack(">HI", 1, 0))


class Stream:
    def __init__(self, window):
        self.window, self.status, self.reset, self.ended, self.data = window, None, None, False, bytearray()

    @property
    def over(self):
        return self.ended or self.reset is not None


class Http2:
    """A connection whose answers are read by a thread. Streams are opened and fed as the attack likes."""

    def __init__(self, address, source=None):
        self.address, self.socket = address, connect(address, source)
        self.streams, self.window, self.initial = {}, 65_535, 65_535
        self.next, self.goaway, self.closed = 1, None, False
        self.changed, self.sending = threading.Condition(), threading.Lock()
        self.settled = threading.Event()
        self.send(start_of_http2())
        threading.Thread(target=self._read, daemon=True).start()
        self.settled.wait(5)

    def send(self, data):
        try:
            with self.sending:
                self.socket.sendall(data)
            return True
        except OSError:
            self._close()
            return False

    def close(self):
        self.closed = True
        self.socket.close()

    def _close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def open(self, path, key=None, end=False, length=None):
        """HEADERS of a call; gives the stream's number."""
        fields = [(":method", "POST"), (":scheme", "http"), (":path", "/sluice/v1/" + path), (":authority", self.address),
                  ("content-type", "application/x-sluice")]
        fields += [("authorization", "Bearer " + key)] if key else []
        fields += [("content-length", str(length))] if length is not None else []
        with self.changed:
            number, self.next = self.next, self.next + 2
            self.streams[number] = Stream(self.initial)
        self.send(wire.h2_frame(HEADERS, 5 if end else 4, number, wire.hpack_encode(fields)))
        return number

    def feed(self, number, data, patience=10, end=False):
        """Sends what the windows let through; gives the bytes sent until the stream was over or nothing moved any more."""
        view, sent, stream = memoryview(data), 0, self.streams[number]
        while sent < len(data):
            with self.changed:
                self.changed.wait_for(lambda: min(self.window, stream.window) > 0 or stream.over or self.closed, patience)
                room = min(self.window, stream.window, len(data) - sent, 1 << 18)
                if room <= 0 or stream.over or self.closed:
                    return sent
                self.window -= room
                stream.window -= room
            pieces, stop = [], sent + room
            while sent < stop:
                step = min(16_384, stop - sent)
                last = int(end and sent + step == len(data))
                pieces += [struct.pack(">I", step)[1:] + struct.pack(">BBI", DATA, last, number), view[sent:sent + step]]
                sent += step
            if not self.send(b"".join(pieces)):
                return sent
        return sent

    def _read(self):
        buffer = bytearray()
        while not self.closed:
            try:
                part = self.socket.recv(1 << 18)
            except socket.timeout:
                continue
            except OSError:
                break
            if not part:
                break
            buffer += part
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                length = int.from_bytes(buffer[:3], "big")
                kind, flags, number = buffer[3], buffer[4], int.from_bytes(buffer[5:9], "big") & 0x7FFFFFFF
                payload = bytes(buffer[9:9 + length])
                del buffer[:9 + length]
                self._frame(kind, flags, number, payload)
        self._close()

    def _frame(self, kind, flags, number, payload):
        with self.changed:
            stream = self.streams.get(number)
            if kind == SETTINGS and not flags & 1:
                for at in range(0, len(payload) - 5, 6):
                    name, value = struct.unpack_from(">HI", payload, at)
                    if name == 4:
                        for one in self.streams.values():
                            one.window += value - self.initial
                        self.initial = value
                self.settled.set()
            elif kind == WINDOW:
                size = int.from_bytes(payload, "big")
                if number == 0:
                    self.window += size
                elif stream:
                    stream.window += size
            elif kind == GOAWAY:
                self.goaway = struct.unpack_from(">I", payload, 4)[0]
            elif stream and kind == RESET:
                stream.reset = int.from_bytes(payload, "big")
            elif stream and kind == HEADERS:
                stream.status = wire.hpack_status(payload)
                stream.ended = stream.ended or bool(flags & 1)
            elif stream and kind == DATA:
                stream.data += payload
                stream.ended = stream.ended or bool(flags & 1)
            self.changed.notify_all()
        if kind == SETTINGS and not flags & 1:
            self.send(wire.h2_frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.send(wire.h2_frame(PING, 1, 0, payload))

    def error_of(self, number):
        """The name of the error frame in a stream's answer, or None."""
        try:
            wire.decode_answer(bytes(self.streams[number].data))
        except wire.SluiceError as error:
            return error.name
        return None


def is_open(made, patience=0.0):
    """Whether the other side still holds this connection; what it sent is thrown away."""
    deadline = time.monotonic() + patience
    made.settimeout(0.01)
    while True:
        try:
            if not made.recv(65_536):
                return False
        except socket.timeout:
            if time.monotonic() >= deadline:
                return True
        except OSError:
            return False


def http_head(path, length=None, key=None, host="127.0.0.1", method="POST", more=()):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"Content-Length: {length}"] if length is not None else []
    lines += [f"Authorization: Bearer {key}"] if key else []
    return ("\r\n".join(lines + list(more)) + "\r\n\r\n").encode()


def read_answer(made, patience=5):
    """What comes until the other side closes or is silent for so long."""
    made.settimeout(patience)
    text = b""
    try:
        while part := made.recv(65_536):
            text += part
            if b"\r\n\r\n" in text and text.startswith(b"HTTP/1.1") and len(text) > 1 << 20:
                break
    except OSError:
        pass
    return text
