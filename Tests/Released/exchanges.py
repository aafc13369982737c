"""Wire calls of every kind that PROTOCOL.md has, made to a running cluster and kept byte by byte."""

import hashlib
import hmac
import struct

import frames
import service_messages as service
import story
from answers import decode_answer
from client_messages import ROLE_CODES, decode_hello_result, decode_json, encode_append, encode_hello, encode_json
from frames import Frame, encode_frame
from people_messages import encode_discovery_query
from questions import CART, SPRING
from sluice_client import Client
from timestamps import parse_timestamp

AS_OF = parse_timestamp(SPRING["as_of"])
WEEK = 7 * 86_400_000_000


class Wire:
    """Connections to the services of a cluster, one for each caller, as a client or as a service that proves itself."""

    def __init__(self, info):
        self.addresses = {"ingest": info["ingest"]["wire"], "coordinator": info["coordinator"]["wire"],
                          **{f"shard-{shard['id']}": shard["wire"] for shard in info["shards"]}}
        self.clients = {}

    def send(self, to, role, key, path, request):
        """The bytes of the answer."""
        if (to, role, key) not in self.clients:
            client = self.clients[to, role, key] = Client(self.addresses[to], key)
            for phase in (1, 2) if role != "client" else ():
                self.hello(client, role, phase)
        status, answer = self.clients[to, role, key].call_raw(path, request)
        if status != 200:
            raise SystemExit(f"{path} of {to}: status {status}")
        return answer

    def hello(self, client, role, phase):
        """Request and answer of one phase."""
        if phase == 1:
            client.nonce = hashlib.sha256(f"{role} {client.address}".encode()).digest()[:16]
        request = encode_frame(Frame(frames.HELLO, hello_body(client, role, phase), request=phase))
        status, answer = client.call_raw("hello", request)
        (result,), _ = decode_answer(answer, frames.HELLO_RESULT)
        client.met = decode_hello_result(result.body)
        return request, answer

    def close(self):
        for client in self.clients.values():
            client.close()


def hello_body(client, role, phase):
    if phase == 1:
        return encode_hello(client.nonce, role)
    text = b"sluice/1 client\n" + client.nonce + bytes.fromhex(client.met["nonce"]) + bytes([ROLE_CODES[role]])
    return encode_hello(client.nonce, role, 2, proof=hmac.digest(story.SECRET.encode(), text, "sha256"))


class Recorder:
    def __init__(self, info):
        self.wire, self.entries = Wire(info), []
        with Client(info["coordinator"]["wire"]) as client:
            told = client.hello()
        self.cluster, self.epoch = told["cluster"], told["epoch"]

    def keep(self, name, to, role, key, path, request, answer):
        self.entries.append({"name": name, "to": to, "role": role, "key": key, "path": path, "request": request.hex(), "answer": answer.hex()})

    def call(self, name, to, path, kind, body, role="client", key=None, compress=False):
        """One call; a service names cluster, project and epoch, a client nothing."""
        frame = Frame(kind, body, request=len(self.entries) + 1)
        if role != "client":
            frame.cluster, frame.epoch, frame.project = self.cluster, self.epoch, 1
        request = encode_frame(frame, compress)
        answer = self.wire.send(to, role, key, path, request)
        self.keep(name, to, role, key, path, request, answer)
        return answer

    def appends(self):
        """Appends of clients and one of ingest; few rows, so that they stay in the log."""
        rows = story.wire(story.chunk("wire", 3, 240))[:6]
        new = encode_append(0x5101, 1, rows)
        self.call("append", "ingest", "append", frames.APPEND, new, key=story.WRITE[1])
        self.call("append repeated", "ingest", "append", frames.APPEND, new, key=story.WRITE[1])
        keyed = encode_append(0x5101, 2, [{**row, "id": "", "microseconds": row["microseconds"] + 1} for row in rows[:3]], "key-1")
        self.call("append with an idempotency key, compressed", "ingest", "append", frames.APPEND, keyed, key=story.WRITE[1], compress=True)
        bad = [rows[0], {**rows[1], "user": ""}, {**rows[2], "microseconds": 1}, {**rows[3], "server_timed": True}, {**rows[4], "event": ""}]
        self.call("append with rejected rows", "ingest", "append", frames.APPEND, encode_append(0x5101, 3, bad), key=story.WRITE[1])
        self.call("append of other rows under a used sequence", "ingest", "append", frames.APPEND, encode_append(0x5101, 1, rows[:2]),
                  key=story.WRITE[1])
        self.call("append with a read key", "ingest", "append", frames.APPEND, new, key=story.READ[1])
        # Only a service may mark rows as timed by the server.
        mine = [user for user in story.users() if service.xxh64(user.encode()) % 1024 < 512]
        timed = [{"user": mine[n % 2], "event": "Beat", "microseconds": AS_OF - WEEK * (8 - n), "id": f"beat {n // 2}", "server_timed": True}
                 for n in range(4)]
        for name in ("append from ingest", "append from ingest repeated"):
            self.call(name, "shard-0", "append", frames.APPEND, encode_append(0x5102, 1, timed, part=1 << 16), "ingest")

    def client_calls(self):
        read = story.READ[1]
        for number, to in enumerate(self.wire.addresses):
            self.call(f"hello of {to}", to, "hello", frames.HELLO, encode_hello(bytes([number]) * 16))
            self.call(f"health of {to}", to, "health", frames.HEALTH, b"")

        def ask(name, path, kind=frames.QUERY, key=read, **document):
            return self.call(name, "coordinator", path, kind, encode_json({**SPRING, **document}), key=key)

        ask("query of a saved funnel", "query", funnel_id="checkout")
        answer = ask("query with a breakdown", "query", funnel=CART, breakdown={"property": "device"})
        ask("query with a trend", "query", funnel=CART, trend={"by": "month"})
        ask("users", "users", frames.USERS_QUERY, funnel=CART, step=2, limit=30)
        ask("users of nobody", "users", frames.USERS_QUERY, funnel={"steps": ["nothing"]}, step=1)
        ask("times", "times", funnel=CART, bins=5)
        ask("explain", "explain", funnel_id="checkout", user_id=story.UUID_USER)
        ask("paths", "paths", funnel=CART, **{"from": {"between": [1, 2]}}, k=5)
        ask("predictors", "predictors", funnel=CART, k=4)
        ask("query with faults", "query", funnel={"steps": []}, as_of="yesterday", surprise=1)
        ask("query of an unknown funnel", "query", funnel_id="none")
        ask("query without a key", "query", key=None, funnel=CART)
        self.call("query that is no JSON", "coordinator", "query", frames.QUERY, b"{", key=read)
        (result,), _ = decode_answer(answer)
        return decode_json(result.body)["funnel"]

    def service_calls(self, cart):
        """`cart`: the definition with every default, as the coordinator sends it."""
        for to, role in (("coordinator", "shard"), ("coordinator", "ingest"), ("shard-0", "coordinator"), ("shard-1", "ingest")):
            client = Client(self.wire.addresses[to])
            for phase in (1, 2):
                self.keep(f"hello of {role} to {to}, phase {phase}", to, role, None, "hello", *self.wire.hello(client, role, phase))
            client.close()
        for role in ("shard", "ingest"):
            self.call(f"snapshot for {role}", "coordinator", "snapshot", frames.SNAPSHOT_REQUEST, struct.pack("<QI", 0, 0), role)

        def query(**more):
            return {"times": False, "as_of": AS_OF, "buckets": [[0, 512]], "definition": cart, **more}

        spring = {"start": AS_OF - 22 * WEEK, "end": AS_OF - 4 * WEEK}
        device = {"property": "device", "touch": "last"}
        reports = {
            "counts": {}, "times": {"times": True, **spring}, "some buckets": {"buckets": [[3, 90], [100, 400]]},
            "cohorts": {"cohorts": [{"definition": cart, "step": 2, "outcome": "reached"}, {"definition": cart, "step": 3, "outcome": "dropped"}]},
            "leading groups": {"breakdown": {**device, "groups": "leading"}}, "all groups": {"breakdown": {**device, "groups": "all"}},
            "named groups": {"breakdown": {"property": "mixed", "touch": "step:2",
                                           "groups": [{"string": "1"}, {"integer": 1}, {"double": 1.5}, {"boolean": True}]}},
            "trend": {"trend": [AS_OF - n * WEEK for n in (20, 16, 12, 8)], **spring}, "span of entries": {"entry_span": True},
            "times between steps": {"between": [1, 3]}, "a second funnel": {"paired": {**cart, "steps": cart["steps"][:2]}},
            "paths after a drop-off": {"paths": {"dropped": 2, "length": 2}},
            "paths between steps": {"paths": {"between": [1, 2], "length": 3, "exclude_events": ["Ping"]}},
            "predictors": {"predictors": {"of": 1, "step": 2, "properties": False}},
            "explanation": {"explain": {"user": next(u for u in story.users() if service.xxh64(u.encode()) % 1024 < 512)}},
            "explanation of nobody": {"explain": {"user": "nobody"}},
        }
        for name, report in reports.items():
            self.call(f"partial query: {name}", "shard-0", "partial-query", frames.PARTIAL_QUERY,
                      service.encode_partial_query(query(**report)), "coordinator")
        lists = {"reached": {}, "dropped": {"outcome": "dropped", "step": 3, "after": "user-0020"},
                 "group": {"group": {**device, "value": {"string": "phone"}}}, "group without a value": {"group": {"property": "mixed", "touch": "first", "value": None}}}
        for name, more in lists.items():
            ask = {"query": query(), "step": 2, "outcome": "reached", "limit": 20, "after": "", **more}
            self.call(f"partial users: {name}", "shard-0", "partial-users", frames.PARTIAL_USERS_QUERY,
                      service.encode_partial_users_query(ask), "coordinator")
        for asked in ({"events": {"prefix": ""}}, {"properties": {"event": "Purchase"}}, {"totals": {}},
                      {"values": {"property": "mixed", "event": "", "prefix": ""}}):
            self.call(f"partial discovery: {next(iter(asked))}", "shard-0", "partial-discovery", frames.DISCOVERY_QUERY,
                      encode_discovery_query(asked), "coordinator")
        self.call("partial query without a proof", "shard-0", "partial-query", frames.PARTIAL_QUERY, service.encode_partial_query(query()))
        wrong = service.encode_partial_query(query(buckets=[[500, 600]]))
        self.call("partial query of foreign buckets", "shard-0", "partial-query", frames.PARTIAL_QUERY, wrong, "coordinator")
        self.call("partial query that is cut off", "shard-0", "partial-query", frames.PARTIAL_QUERY, wrong[:20], "coordinator")
        self.call("snapshot for the coordinator", "coordinator", "snapshot", frames.SNAPSHOT_REQUEST, struct.pack("<QI", 0, 0),
                  "coordinator")
