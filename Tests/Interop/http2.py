"""HTTP/2 (RFC 9113): frames, and a connection that makes one call at a time."""

import socket
import struct
import time

from errors import SluiceError
from http2_headers import hpack_encode, hpack_status

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(H2_DATA, H2_HEADERS, _, H2_RST_STREAM, H2_SETTINGS, H2_PUSH, H2_PING, H2_GOAWAY, H2_WINDOW_UPDATE,
 H2_CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
REFUSED_STREAM = 7
WINDOW = 8 << 20


def h2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


class Http2Connection:
    """One connection, one call at a time."""

    def __init__(self, address, timeout=10.0, tls=None):
        host, port = split_address(address)
        self.authority = address
        self.scheme = "https" if tls else "http"
        self.buffer = bytearray()
        self.next_stream = 1
        self.send_window = 65535
        self.initial_window = 65535
        self.max_frame = 16384
        self.usable = True
        try:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                tls.set_alpn_protocols(["h2"])
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
                if self.socket.selected_alpn_protocol() != "h2":
                    raise OSError("the server does not speak h2")
        except OSError as error:
            raise SluiceError("unreachable", f"{address}: {error}") from None
        # SETTINGS: header table 0, no push, initial window; then as much for the connection
        settings = b"".join(struct.pack(">HI", *pair) for pair in ((1, 0), (2, 0), (4, WINDOW)))
        self._send(PREFACE + h2_frame(H2_SETTINGS, 0, 0, settings)
                   + h2_frame(H2_WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535)))

    def close(self):
        self.usable = False
        self.socket.close()

    def _lost(self, what):
        self.close()
        return SluiceError("connection_lost", what)

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except socket.timeout:
            self.close()
            raise SluiceError("deadline_exceeded", "time was up while sending") from None
        except OSError:
            pass  # an answer or a GOAWAY may have come before the server closed: reading tells

    def _fill(self, count, deadline):
        while len(self.buffer) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                self.close()
                raise SluiceError("deadline_exceeded", "time was up while waiting for the answer")
            self.socket.settimeout(left)
            try:
                part = self.socket.recv(262144)
            except socket.timeout:
                continue
            except OSError as error:
                raise self._lost(str(error)) from None
            if not part:
                raise self._lost("the server closed the connection")
            self.buffer += part

    def _receive(self, deadline):
        self._fill(9, deadline)
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        if length > 16384:
            raise self._lost(f"an HTTP/2 frame of {length} bytes")
        self._fill(9 + length, deadline)
        payload = bytes(self.buffer[9:9 + length])
        del self.buffer[:9 + length]
        return kind, flags, stream, payload

    def _unpad(self, flags, payload):
        if not flags & PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            raise self._lost("padding that is too long")
        return payload[1:len(payload) - payload[0]]

    def call(self, path, headers, body, timeout):
        """Status and body of the answer to one POST."""
        deadline = time.monotonic() + timeout
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        window, sent, status, answer, block, reset = self.initial_window, 0, None, bytearray(), None, None
        fields = [(":method", "POST"), (":scheme", self.scheme), (":path", path), (":authority", self.authority),
                  ("content-length", str(len(body)))] + headers
        self.socket.settimeout(timeout)
        self._send(h2_frame(H2_HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, hpack_encode(fields)))
        while True:
            while sent < len(body) and reset is None and min(window, self.send_window) > 0:
                size = min(window, self.send_window, self.max_frame, len(body) - sent)
                last = sent + size == len(body)
                self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                self._send(h2_frame(H2_DATA, END_STREAM if last else 0, stream, body[sent:sent + size]))
                window, self.send_window, sent = window - size, self.send_window - size, sent + size
            kind, flags, number, payload = self._receive(deadline)
            if block is not None and (kind != H2_CONTINUATION or number != stream):
                raise self._lost("a header block is interrupted")
            if kind == H2_SETTINGS and not flags & ACK:
                for at in range(0, len(payload) - 5, 6):
                    name, value = struct.unpack_from(">HI", payload, at)
                    if name == 4:
                        window, self.initial_window = window + value - self.initial_window, value
                    elif name == 5:
                        self.max_frame = value
                self._send(h2_frame(H2_SETTINGS, ACK, 0))
            elif kind == H2_PING and not flags & ACK:
                self._send(h2_frame(H2_PING, ACK, 0, payload))
            elif kind == H2_WINDOW_UPDATE:
                more = int.from_bytes(payload, "big") & 0x7FFFFFFF
                if number == 0:
                    self.send_window += more
                elif number == stream:
                    window += more
            elif kind == H2_GOAWAY:
                last, code = struct.unpack_from(">II", payload)
                self.usable = False
                if stream > last & 0x7FFFFFFF:
                    self.close()
                    raise SluiceError("unreachable", f"GOAWAY {code} before this stream: not looked at")
            elif kind == H2_RST_STREAM and number == stream:
                code = int.from_bytes(payload, "big")
                if code == REFUSED_STREAM:
                    raise SluiceError("unreachable", "the stream was refused: not looked at")
                raise SluiceError("connection_lost", f"the stream was reset with {code}"
                                  + (f" after status {status}" if status else ""))
            elif kind in (H2_HEADERS, H2_CONTINUATION) and number == stream:
                if kind == H2_HEADERS:
                    payload = self._unpad(flags, payload)
                    block, ends = payload[5 if flags & PRIORITY else 0:], flags & END_STREAM
                else:
                    block = (block or b"") + payload
                if flags & END_HEADERS:
                    if status is None:
                        code = hpack_status(block)
                        status = code if code >= 200 else None
                    block = None
                    if ends:
                        break
            elif kind == H2_DATA:
                part = self._unpad(flags, payload)
                if payload:
                    credit = struct.pack(">I", len(payload))
                    self._send(h2_frame(H2_WINDOW_UPDATE, 0, 0, credit))
                if number != stream:
                    continue
                answer += part
                if flags & END_STREAM:
                    break
                if payload:
                    self._send(h2_frame(H2_WINDOW_UPDATE, 0, stream, credit))
        if sent < len(body):  # answered before all was read: give the rest of the stream up
            self._send(h2_frame(H2_RST_STREAM, 0, stream, struct.pack(">I", 8)))
        return status, bytes(answer)
