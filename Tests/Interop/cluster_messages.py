"""The messages by which services of a cluster know it and each other: snapshots of the metadata, and who a peer is."""

import struct

from client_messages import ROLE_CODES, ROLES
from errors import invalid
from notation import string, varint


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


KEY_ID = set("0123456789abcdefghijklmnopqrstuvwxyz")


def read_key_id(reader):
    name = reader.text(16)
    if not name or set(name) - KEY_ID:
        raise invalid(f"{name!r} is no id of a key")
    return name


def encode_key_list_request(request):
    uses = b"".join(string(use["id"]) + varint(use["minute"]) for use in request["uses"])
    return struct.pack("<QI", request["known"], request["wait_ms"]) + varint(len(request["uses"])) + uses


def read_key_list_request(reader):
    request = {"known": reader.number(8), "wait_ms": reader.number(4)}
    request["uses"] = [{"id": read_key_id(reader), "minute": reader.varint((1 << 32) - 1)} for _ in range(reader.varint(2000))]
    return request


def encode_key_list(answer):
    keys = answer["keys"]
    out = struct.pack("<QB", answer["version"], keys is not None)
    if keys is None:
        return out
    out += varint(len(keys))
    for key in keys:
        role = next(code for code, name in KEY_ROLES.items() if name == key["role"])
        out += string(key["id"]) + struct.pack("<BI", role, key["project"]) + bytes.fromhex(key["sha256"])
        out += varint(key["expires"] or 0) + varint(len(key["origins"])) + b"".join(map(string, key["origins"]))
    return out


def read_key_list(reader):
    answer = {"version": reader.number(8), "keys": None}
    if not answer["version"]:
        raise invalid("version 0 of a key list")
    if not reader.flag():
        return answer
    answer["keys"] = [read_key(reader) for _ in range(reader.varint(10_000))]
    if len({key["id"] for key in answer["keys"]}) < len(answer["keys"]):
        raise invalid("a key is given twice")
    return answer


def read_key(reader):
    key = {"id": read_key_id(reader), "role": reader.u8(), "project": reader.number(4), "sha256": reader.take(32).hex(),
           "expires": reader.varint((1 << 63) - 1) or None}
    key["origins"] = [reader.text(255) for _ in range(reader.varint(20))]
    if key["role"] not in KEY_ROLES or not key["project"]:
        raise invalid(f"role {key['role']}, project {key['project']} of a key")
    key["role"] = KEY_ROLES[key["role"]]
    if key["origins"] and key["role"] != "write" or "" in key["origins"]:
        raise invalid("origins of a key that cannot have them, or an empty one")
    return key


def encode_rule_list_request(request):
    return struct.pack("<QI", request["known"], request["wait_ms"])


def read_rule_list_request(reader):
    return {"known": reader.number(8), "wait_ms": reader.number(4)}


def encode_rule_list(answer):
    projects = answer["projects"]
    out = struct.pack("<QB", answer["version"], projects is not None)
    if projects is None:
        return out
    entries = (struct.pack("<IQ", entry["project"], entry["revision"]) + string(entry["rules"]) for entry in projects)
    return out + varint(len(projects)) + b"".join(entries)


def read_rule_list(reader):
    answer = {"version": reader.number(8), "projects": None}
    if not answer["version"]:
        raise invalid("version 0 of a rule list")
    if not reader.flag():
        return answer
    answer["projects"] = projects = []
    for _ in range(reader.varint()):
        entry = {"project": reader.number(4), "revision": reader.number(8), "rules": reader.text(256 << 10)}
        if entry["project"] <= (projects[-1]["project"] if projects else 0) or not entry["revision"]:
            raise invalid(f"project {entry['project']}, revision {entry['revision']} of rules")
        projects.append(entry)
    return answer
