"""Bodies of the messages of clients, PROTOCOL.md sections 5 and 7 to 10: append, query, users, hello, health."""

import json
import struct

from batches import MAX_ROWS, decode_batch, encode_batch
from errors import invalid
from frames import VERSION
from notation import Reader, string, varint

ROLES = {1: "client", 2: "ingest", 3: "coordinator", 4: "shard"}
ROLE_CODES = {name: code for code, name in ROLES.items()}


def encode_append(producer, sequence, events, idempotency_key="", part=0):
    return struct.pack("<QQI", producer, sequence, part) + string(idempotency_key) + encode_batch(events)


def decode_append(body):
    reader = Reader(body)
    producer, sequence, part = reader.number(8), reader.number(8), reader.number(4)
    key = reader.text(128)
    return {"producer": producer, "sequence": sequence, "part": part, "idempotency_key": key,
            "events": decode_batch(reader.take(reader.left))}


def decode_append_result(body):
    reader = Reader(body)
    accepted, repeated = reader.varint(), reader.flag()
    rejected = [{"row": reader.varint(), "reason": reader.text(4096)} for _ in range(reader.varint(MAX_ROWS))]
    retry = [reader.varint() for _ in range(reader.varint(MAX_ROWS))]
    shards = [reader.text() for _ in range(reader.varint(256))]
    reader.end()
    return {"accepted": accepted, "repeated": repeated, "rejected": rejected, "retry": retry, "shards": shards}


def encode_append_result(result):
    return (varint(result["accepted"]) + bytes([result["repeated"]]) + varint(len(result["rejected"]))
            + b"".join(varint(bad["row"]) + string(bad["reason"]) for bad in result["rejected"])
            + varint(len(result["retry"])) + b"".join(map(varint, result["retry"]))
            + varint(len(result["shards"])) + b"".join(map(string, result["shards"])))


def encode_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def decode_json(body):
    def constant(name):
        raise ValueError(name)
    try:
        return json.loads(body.decode("utf-8"), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise invalid(f"not JSON: {error}") from None


def encode_user_list(users):
    return varint(len(users)) + b"".join(map(string, users))


def decode_user_list(body):
    reader = Reader(body)
    users = [reader.text(512) for _ in range(reader.varint(4096))]
    reader.end()
    return users


def encode_hello(nonce, role="client", phase=1, lowest=VERSION, highest=VERSION, proof=bytes(32)):
    return struct.pack("<BBHH16s32s", ROLE_CODES[role], phase, lowest, highest, nonce, proof)


def _role(reader):
    code = reader.u8()
    if code not in ROLES:
        raise invalid(f"role {code}")
    return ROLES[code]


def decode_hello(body):
    reader = Reader(body)
    role, phase, lowest, highest = _role(reader), reader.u8(), reader.number(2), reader.number(2)
    if phase not in (1, 2):
        raise invalid(f"phase {phase}")
    hello = {"role": role, "phase": phase, "version_min": lowest, "version_max": highest,
             "nonce": reader.take(16).hex(), "proof": reader.take(32).hex()}
    reader.end()
    return hello


def encode_hello_result(role, version, cluster, epoch, nonce, proof):
    return struct.pack("<BHQI16s32s", ROLE_CODES[role], version, cluster, epoch, nonce, proof)


def decode_hello_result(body):
    reader = Reader(body)
    result = {"role": _role(reader), "version": reader.number(2), "cluster": reader.number(8),
              "epoch": reader.number(4), "nonce": reader.take(16).hex(), "proof": reader.take(32).hex()}
    reader.end()
    return result


def encode_health_result(role, ready, epoch):
    return struct.pack("<BBI", ROLE_CODES[role], ready, epoch)


def decode_health_result(body):
    reader = Reader(body)
    result = {"role": _role(reader), "ready": reader.flag(), "epoch": reader.number(4)}
    reader.end()
    return result
