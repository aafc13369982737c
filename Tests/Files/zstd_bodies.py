"""HTTP bodies in zstd, sent to a cluster whose programs were built with the trait Zstd: native events and SDK endpoints.
SLUICE_PROGRAMS is the directory of the programs."""

import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Processes"))

from members import Members, ask, clean_environment  # noqa: E402

TIME = "2026-01-01T12:00:00Z"
LIMIT = 1 << 20
ENDPOINTS = {
    "/v1/events": lambda user: [{"user_id": user, "event": "Visit", "timestamp": TIME, "event_id": user}],
    "/v1/batch": lambda user: {"batch": [
        {"type": "track", "userId": user, "event": "Visit", "timestamp": TIME, "messageId": user}]},
    "/batch/": lambda user: {"api_key": "k", "batch": [
        {"event": "Visit", "distinct_id": user, "timestamp": TIME, "properties": {"$insert_id": user}}]},
    "/track": lambda user: [{"event": "Visit", "properties": {"token": "k", "distinct_id": user, "time": 1767268800, "$insert_id": user}}],
    "/2/httpapi": lambda user: {"api_key": "k", "events": [
        {"user_id": user, "event_type": "Visit", "time": 1767268800000, "insert_id": user}]},
}


def zstd(data, *options):
    return subprocess.run(["zstd", "-q", *options], input=data, capture_output=True, check=True).stdout


def refused(text):
    """Bodies of one event that are refused, with the status of a native endpoint."""
    whole = zstd(text)
    wide = zstd(text + b" " * (512 << 10), "--zstd=wlog=24", "--no-check")
    assert wide[5] >> 3 == 24 - 10, "no frame with a window of 16 MiB"
    declared = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    return {
        "cut short": (whole[:-5], 400), "bytes behind the frame": (whole + b"abc", 400), "no zstd": (text, 400), "empty": (b"", 400),
        "a second frame cut short": (whole + whole[:9], 400), "a window of 16 MiB": (wide, 400), "says it is 1 TiB": (declared, 400),
        "a frame of zstd 0.7": (b"\x27" + whole[1:], 400), "damaged": (whole[:-8] + bytes([whole[-8] ^ 4]) + whole[-7:], 400),
        "over the limit when decoded": (zstd(text + b" " * LIMIT), 413), "a bomb": (zstd(bytes(100 << 20)), 413),
        "frames that pass the limit together": (zstd(b" " * (600 << 10)) * 2, 413),
    }


def check(cluster):
    users = set()
    for number, (path, events) in enumerate(ENDPOINTS.items()):
        fields = {"Content-Encoding": "zstd", "Content-Type": "application/json"}

        def send(name, body, statuses):
            status, answer, _ = ask(cluster.ingest, path, body, headers=fields, timeout=60)
            assert status in statuses, f"{path}, {name}: {status} {answer[:300]}"

        text = json.dumps(events(f"{number} one")).encode()
        send("one frame", zstd(text), [200])
        # The longest body that the limit lets pass.
        padded = json.dumps(events(f"{number} padded")).encode()
        send("as long as the limit", zstd(padded + b" " * (LIMIT - len(padded))), [200])
        text = json.dumps(events(f"{number} frames")).encode()
        skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
        send("frames", skippable + zstd(text[:20]) + zstd(b"") + skippable + zstd(text[20:], "-19"), [200])
        users |= {f"{number} one", f"{number} padded", f"{number} frames"}
        for name, (body, status) in refused(json.dumps(events(f"{number} refused")).encode()).items():
            # Products have statuses of their own for a body that cannot be read, but all say that it was not stored.
            send(name, body, [status] if path == "/v1/events" else [400, 413, 415])
    query = {"funnel": {"steps": ["Visit"]}, "step": 1, "limit": 1_000}
    status, answer, _ = ask(cluster.coordinator, "/v1/query/users", query, headers={"Content-Type": "application/json"})
    assert status == 200, answer
    stored = set(json.loads(answer)["users"])
    assert stored == users, f"stored in error: {stored - users}, missing: {users - stored}"


def main():
    settings = {"SLUICE_BODY_MB": "1", "SLUICE_CLUSTER_SECRET": "one-secret-for-all-the-services"}
    with tempfile.TemporaryDirectory() as directory:
        cluster = Members(directory, clean_environment() | settings, shards=1)
        try:
            cluster.start_all(60)
            check(cluster)
        finally:
            cluster.stop()
    print(f"zstd: bodies to {len(ENDPOINTS)} endpoints, whole, refused and over the limit: as expected")


main()
