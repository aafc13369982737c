#!/usr/bin/env python3
"""A client for Sluice, written from Protocol/PROTOCOL.md alone. Python 3.8 or later, standard library only.

    sluice_client.py append HOST:PORT < events.ndjson     (ingest's wire port)
    sluice_client.py query  HOST:PORT < query.json        (the coordinator's)
    sluice_client.py users  HOST:PORT < query.json        (with "step", "outcome", ...; all pages)
    sluice_client.py health HOST:PORT
    sluice_client.py hello  HOST:PORT
"""

import argparse
import json
import os
import secrets
import sys
import time

from answers import decode_answer
from client_messages import (decode_append_result, decode_health_result, decode_hello_result, decode_json, decode_user_list,
                             encode_append, encode_hello, encode_json)
from errors import SluiceError
from frames import (APPEND, APPEND_RESULT, HEALTH, HEALTH_RESULT, HELLO, HELLO_RESULT, MERGED_RESULT, QUERY, USER_LIST,
                    USERS_QUERY, Frame, encode_frame)
from http2 import Http2Connection
from json_events import event_of_json


class Client:
    """Calls to one service: ingest for append, the coordinator for query and users, any for hello and health."""

    def __init__(self, address, key=None, cluster=0, timeout=30.0, compress=True, tls=None):
        self.address, self.key, self.cluster = address, key, cluster
        self.timeout, self.compress, self.tls = timeout, compress, tls
        self.producer = secrets.randbits(64)
        self.sequence = 0
        self.request = 0
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def call_raw(self, path, body, content_type="application/x-sluice", timeout=None):
        """Status and body of one POST to a path of the protocol."""
        timeout = self.timeout if timeout is None else timeout
        headers = [("content-type", content_type), ("sluice-timeout-ms", str(int(timeout * 1000)))]
        if self.key:
            headers.append(("authorization", "Bearer " + self.key))
        if self.connection is None or not self.connection.usable:
            self.close()
            self.connection = Http2Connection(self.address, timeout, self.tls)
        return self.connection.call("/sluice/v1/" + path, headers, body, timeout)

    def call(self, path, kind, body, answer_kind, head=None):
        """Result bodies and rows of one call, checked."""
        self.request += 1
        frame = Frame(kind, body, self.cluster, self.request)
        status, answer = self.call_raw(path, encode_frame(frame, self.compress))
        if status != 200:
            name = "too_large" if status == 413 else "malformed_frame"
            raise SluiceError(name, f"HTTP status {status}: {answer[:200].decode('utf-8', 'replace')}")
        results, rows = decode_answer(answer, answer_kind, self.request, head)
        return [result.body for result in results], rows

    def _one(self, path, kind, body, answer_kind):
        results, rows = self.call(path, kind, body, answer_kind)
        if len(results) != 1:
            raise SluiceError("malformed_frame", f"{len(results)} results where there is one", "unknown")
        return results[0], rows

    def hello(self):
        body, _ = self._one("hello", HELLO, encode_hello(os.urandom(16)), HELLO_RESULT)
        return decode_hello_result(body)

    def health(self):
        body, _ = self._one("health", HEALTH, b"", HEALTH_RESULT)
        return decode_health_result(body)

    def append(self, events, idempotency_key="", sequence=None, producer=None):
        """Sends one batch once. To repeat after an error give its sequence again (`client.sequence`)."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        producer = self.producer if producer is None else producer
        body, rows = self._one("append", APPEND, encode_append(producer, sequence, events, idempotency_key),
                               APPEND_RESULT)
        result = decode_append_result(body)
        if rows != result["accepted"]:
            raise SluiceError("malformed_frame", f"{rows} rows in the trailer, {result['accepted']} accepted", "unknown")
        return result

    def append_until_done(self, events, idempotency_key="", attempts=8):
        """Appends and repeats the same bytes under the same sequence while that may help."""
        self.sequence += 1
        for attempt in range(attempts):
            wait, last = 0.1 * 2**attempt, attempt == attempts - 1
            try:
                result = self.append(events, idempotency_key, self.sequence)
                if not result["retry"] or last:
                    return result
            except SluiceError as error:
                if not error.retryable or last:
                    raise
                wait = max(wait, error.retry_after_ms / 1000)
            time.sleep(min(wait, 5))

    def query(self, document):
        body, _ = self._one("query", QUERY, encode_json(document), MERGED_RESULT)
        return decode_json(body)

    def users(self, document):
        """One page of user ids."""
        bodies, rows = self.call("users", USERS_QUERY, encode_json(document), USER_LIST, head=MERGED_RESULT)
        if not bodies:
            raise SluiceError("malformed_frame", "a list without its head", "unknown")
        page = decode_json(bodies[0])
        if not page["completeness"]["exact"] and not document.get("allow_partial"):
            raise SluiceError("malformed_frame", "a partial list that nobody asked for", "unknown")
        users = [user for body in bodies[1:] for user in decode_user_list(body)]
        if rows != len(users):
            raise SluiceError("malformed_frame", f"{rows} rows in the trailer, {len(users)} users", "unknown")
        if any(a.encode() >= b.encode() for a, b in zip(users, users[1:])):
            raise SluiceError("malformed_frame", "users out of order", "unknown")
        return users

    def all_users(self, document):
        """Every page. `as_of` is fixed, so that the pages belong together."""
        document = dict(document)
        limit = document.setdefault("limit", 10_000)
        document.setdefault("as_of", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        while True:
            page = self.users(document)
            yield from page
            if len(page) < limit:
                return
            document["after"] = page[-1]


def main(arguments=None):
    parser = argparse.ArgumentParser(description="A client for Sluice's binary protocol.")
    parser.add_argument("command", choices=["append", "query", "users", "health", "hello"])
    parser.add_argument("address", help="wire port, HOST:PORT")
    parser.add_argument("--key", default=os.environ.get("SLUICE_KEY"), help="default: SLUICE_KEY")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds")
    parser.add_argument("--idempotency-key", default="", help="append: ids for events that have none")
    parser.add_argument("--rows", type=int, default=5000, help="append: events a batch")
    parser.add_argument("--no-compression", action="store_true")
    options = parser.parse_args(arguments)
    client = Client(options.address, options.key, timeout=options.timeout, compress=not options.no_compression)
    try:
        if options.command == "append":
            lines, events, first, bad = [], [], 0, 0

            def send():
                nonlocal bad, first
                # ids under a key count from 0 in each batch, so each batch has a key of its own
                key = options.idempotency_key and f"{options.idempotency_key}/{first}"
                result = client.append_until_done(events, key)
                for entry in result["rejected"]:
                    entry["line"] = lines[entry["row"]]
                bad += len(result["rejected"]) + len(result["retry"])
                print(json.dumps(result, ensure_ascii=False), flush=True)
                first += len(events)
                lines.clear()
                events.clear()

            for number, line in enumerate(sys.stdin, 1):
                if not line.strip():
                    continue
                try:
                    events.append(event_of_json(json.loads(line)))
                    lines.append(number)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    print(f"line {number}: {error!r}", file=sys.stderr)
                    bad += 1
                if len(events) >= options.rows:
                    send()
            if events:
                send()
            return 1 if bad else 0
        if options.command in ("query", "users"):
            document = json.load(sys.stdin)
            if options.command == "users":
                for user in client.all_users(document):
                    print(json.dumps(user, ensure_ascii=False))
                return 0
            result = client.query(document)
        else:
            result = getattr(client, options.command)()
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return 0
    except SluiceError as error:
        print(json.dumps(error.as_dict(), ensure_ascii=False), file=sys.stderr)
        return 2
    finally:
        client.close()


if __name__ == "__main__":
    sys.exit(main())
