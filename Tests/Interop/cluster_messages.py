"""The messages by which services of a cluster know it and each other: snapshots of the metadata, and who a peer is."""

import struct

from sluice_client import ROLE_CODES, ROLES, invalid, string, varint


KEY_ROLES = {1: "write", 2: "read", 3: "admin"}


def encode_snapshot(snapshot):
    out = struct.pack("<QQI", snapshot["revision"], snapshot["cluster"], snapshot["epoch"])
    out += varint(len(snapshot["shards"]))
    for shard in snapshot["shards"]:
        out += varint(shard["id"]) + string(shard["host"]) + struct.pack("<H", shard["port"])
    out += varint(len(snapshot["keys"]))
    for key in snapshot["keys"]:
        role = next(code for code, name in KEY_ROLES.items() if name == key["role"])
        out += struct.pack("<BI", role, key["project"]) + bytes.fromhex(key["sha256"])
    if "lineage" in snapshot:
        ids = snapshot["data_ids"]
        out += struct.pack("<Q", snapshot["lineage"]) + varint(len(ids)) + struct.pack(f"<{len(ids)}Q", *ids)
    return out


def read_snapshot(reader):
    snapshot = {"revision": reader.number(8), "cluster": reader.number(8), "epoch": reader.number(4)}
    snapshot["shards"] = shards = []
    for place in range(reader.varint(256)):
        shards.append({"id": reader.varint(), "host": reader.text(255), "port": reader.number(2)})
        if shards[-1]["id"] != place:
            raise invalid("a shard out of place")
    snapshot["keys"] = keys = []
    for _ in range(reader.varint(10_000)):
        role = reader.u8()
        if role not in KEY_ROLES:
            raise invalid(f"role {role} of a key")
        keys.append({"role": KEY_ROLES[role], "project": reader.number(4), "sha256": reader.take(32).hex()})
    if reader.left:
        snapshot["lineage"] = reader.number(8)
        if (count := reader.varint(len(shards))) not in (0, len(shards)):
            raise invalid(f"{count} data ids for {len(shards)} shards")
        snapshot["data_ids"] = [reader.number(8) for _ in range(count)]
    return snapshot


def encode_snapshot_request(request):
    origin = struct.pack("<QI", request["lineage"], request["checksum"]) if "lineage" in request else b""
    return struct.pack("<QI", request["known"], request["wait_ms"]) + origin


def read_snapshot_request(reader):
    request = {"known": reader.number(8), "wait_ms": reader.number(4)}
    if reader.left:
        request["lineage"], request["checksum"] = reader.number(8), reader.number(4)
    return request


def encode_identity(identity):
    shard, problem = identity["shard"], identity["problem"]
    return (bytes([ROLE_CODES[identity["role"]]]) + varint(0 if shard is None else shard + 1) + varint(identity["shards"])
            + struct.pack("<QQQIB", identity["cluster"], identity["lineage"], identity["revision"], identity["epoch"], problem is None)
            + string(problem or "") + string(identity["instance"]) + string(identity["version"])
            + struct.pack("<Q", identity["data_id"]))


def read_identity(reader):
    role, number, shards = reader.u8(), reader.varint(256), reader.varint(256)
    if role not in ROLES or (number > 0) != (ROLES[role] == "shard"):
        raise invalid(f"shard number {number} of role {role}")
    identity = {"role": ROLES[role], "shard": number - 1 if number else None, "shards": shards,
                "cluster": reader.number(8), "lineage": reader.number(8), "revision": reader.number(8), "epoch": reader.number(4)}
    ready, problem = reader.flag(), reader.text(4096)
    if ready and problem:
        raise invalid("a reason beside ready")
    identity["problem"] = None if ready else problem
    identity["instance"], identity["version"] = reader.text(64), reader.text(64)
    identity["data_id"] = reader.number(8)
    if identity["data_id"] and identity["role"] != "shard":
        raise invalid(f"a data id of role {role}")
    return identity
