"""A proxy between one SDK and ingest. It records what the SDK sends and what it is answered, and makes faults.

| fault | what happens to a request with events |
|---|---|
| `429`, `503`, `413` | it is answered so, and ingest does not get it |
| `slow` | ingest gets it; the answer comes after the SDK gave up |
| `reset` | ingest gets it; the connection is reset in place of an answer |
| `twice` | ingest gets it twice, as from a network that repeats |
| `kill` | from the second one on they wait, until the suite kills a shard |
"""

import http.client
import http.server
import json
import os
import socket
import ssl
import struct
import threading
import time

import wire

# Fields of a single connection, and those that the proxy writes itself.
OWN_FIELDS = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection", "expect", "date", "server"}

# How ingest says it, in the words of each product (SDKS.md section 11).
WORDS = {
    "segment": {"code": "overloaded", "message": "injected"},
    "posthog": {"type": "server_error", "code": "overloaded", "detail": "injected", "attr": None},
    "mixpanel": {"status": 0, "error": "injected"},
    "amplitude": {"code": 503, "error": "injected"},
    "snowplow": "injected",
}
WORDS["rudder"] = WORDS["segment"]

# How a proxy in front of ingest says it.
PAGE = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr><center>nginx</center></body></html>\r\n"


class Faults:
    """Which requests get a fault. A batch is known by its first event; it gets at most two, a case at most `most`."""

    def __init__(self, kind, random_numbers, most=5, larger_than=None):
        self.kind, self.random, self.most, self.larger_than = kind, random_numbers, most, larger_than
        self.left, self.lock, self.made = {}, threading.Lock(), 0

    def next(self, sent):
        if self.kind in (None, "kill"):
            return None
        with self.lock:
            if self.kind == "twice":
                return "twice"
            if self.larger_than is not None:
                self.made += len(sent) > self.larger_than
                return self.kind if len(sent) > self.larger_than else None
            first = sent[0].id
            if first not in self.left:
                self.left[first] = self.random.choice([1, 2]) if not self.left else self.random.choice([0, 0, 1, 2])
            if self.left[first] == 0 or self.made == self.most:
                return None
            self.left[first] -= 1
            self.made += 1
            return self.kind


class Proxy:
    """`certificate`: files of a certificate and its key; the proxy then speaks TLS."""

    def __init__(self, ingest, product, faults, hold=1.6, gate=None, certificate=None):
        self.ingest, self.product, self.faults, self.hold, self.gate = ingest, product, faults, hold, gate
        self.lock, self.at_gate = threading.Lock(), threading.Event()
        # In order: (events, fault, status of ingest or None, events whose storage was confirmed to the SDK).
        self.exchanges, self.others = [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake is left to the connection's own thread.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self.server.server_address[1]}"
        self.url = ("https://" if certificate else "http://") + self.host
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def wait_for(self, rows, seconds):
        """Until each of so many rows was acknowledged, for senders that do not see their answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(self.acknowledged()) < rows:
            time.sleep(0.02)

    def acknowledged(self):
        with self.lock:
            return {event.row for _, _, _, told in self.exchanges for event in told}

    def stored(self):
        """Rows that ingest acknowledged, whether or not the SDK heard of it."""
        with self.lock:
            return {event.row for sent, _, status, _ in self.exchanges if status == 200 for event in sent}

    def sent(self):
        """Every event as often as the SDK sent it."""
        with self.lock:
            return [event for sent, _, _, _ in self.exchanges for event in sent]

    def statuses(self):
        """How often ingest answered a request with events by a status other than 200."""
        seen = {}
        with self.lock:
            for _, _, status, _ in self.exchanges:
                if status not in (200, None):
                    seen[status] = seen.get(status, 0) + 1
        return seen


def _handler(proxy):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def setup(self):
            if isinstance(self.request, ssl.SSLSocket):
                self.request.settimeout(10)
                self.request.do_handshake()
                self.request.settimeout(None)
            super().setup()

        def _handle(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                sent = wire.events(self.command, self.path, self.headers, body)
            except (ValueError, KeyError, TypeError) as error:
                with proxy.lock:
                    proxy.others.append((self.path.partition("?")[0], f"cannot be read: {error!r}"))
                sent = None
            if not sent:
                return self._pass_on(body)
            fault = proxy.faults.next(sent)
            if proxy.gate:
                with proxy.lock:
                    waits = bool(proxy.exchanges)
                if waits:
                    proxy.at_gate.set()
                    proxy.gate.wait(60)
            if fault in ("429", "503", "413"):
                self._record(sent, fault, None, [])
                return self._refuse(int(fault))
            status, fields, answer = self._forward(body)
            if fault == "twice":
                status = max(status, self._forward(body)[0])
            told = [] if fault in ("slow", "reset") else wire.acknowledged(sent, status, answer)
            self._record(sent, fault, status, told)
            if fault == "reset":
                self._reset()
            elif fault == "slow":
                time.sleep(proxy.hold)
                self.close_connection = True
                self._answer(status, fields, answer)
            else:
                self._answer(status, fields, answer)

        do_GET = do_HEAD = do_POST = do_OPTIONS = do_PUT = _handle

        def _record(self, sent, fault, status, told):
            with proxy.lock:
                proxy.exchanges.append((sent, fault, status, told))

        def _pass_on(self, body):
            """Settings, flags, profiles, preflights."""
            status, fields, answer = self._forward(body)
            with proxy.lock:
                proxy.others.append((f"{self.command} {self.path.partition('?')[0]}", status))
            self._answer(status, fields, answer)

        def _forward(self, body):
            host, port = proxy.ingest.rsplit(":", 1)
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in OWN_FIELDS:
                        connection.putheader(name, value)
                if body or self.command == "POST":
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                response = connection.getresponse()
                answer = response.read()
                return response.status, [(n, v) for n, v in response.getheaders() if n.lower() not in OWN_FIELDS], answer
            except (OSError, http.client.HTTPException) as error:
                return 502, [("Content-Type", "text/plain")], repr(error).encode()
            finally:
                connection.close()

        def _refuse(self, status):
            """As ingest does it, or as a proxy in front of it: by a page, without permission for pages of other sites."""
            # A page cannot read that one, so it would never make its requests smaller.
            bare = proxy.faults.random.random() < 0.5 and proxy.faults.larger_than is None
            words = WORDS[proxy.product]
            if isinstance(words, dict) and isinstance(words.get("code"), int):
                words = {**words, "code": status}
            fields = [("Content-Type", "text/html" if bare else "application/json")]
            if status != 413:
                fields.append(("Retry-After", "1"))
            if not bare and (origin := self.headers.get("origin")):
                fields += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]
            text = words if isinstance(words, str) else json.dumps(words)
            self._answer(status, fields, PAGE % (status, status) if bare else text.encode())

        def _answer(self, status, fields, answer):
            try:
                self.send_response_only(status)
                for name, value in fields:
                    self.send_header(name, value)
                if status not in (204, 304):
                    self.send_header("Content-Length", str(len(answer)))
                if self.close_connection:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)
            except OSError:
                self.close_connection = True  # the SDK gave up

        def _reset(self):
            """RST in place of FIN. The descriptor is closed itself, because the reader's file would keep the socket open."""
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

        def handle(self):
            try:
                super().handle()
            except OSError:
                pass  # a caller that goes away, or a connection that was reset

        def finish(self):
            try:
                super().finish()
            except (OSError, ValueError):
                pass

    return Handler
