"""Frames of PROTOCOL.md section 2: kinds, limits, header and body."""

import struct

import checksums
from errors import SluiceError
from lz4_block import lz4_decode, lz4_encode

MAGIC = b"SLC1"
VERSION = 1
HEADER = struct.Struct("<4sHBBQQIIIII16s")  # the first 60 bytes
MIB = 1 << 20

(HELLO, HELLO_RESULT, APPEND, APPEND_RESULT, QUERY, MERGED_RESULT, PARTIAL_QUERY, PARTIAL_RESULT, USERS_QUERY,
 PARTIAL_USERS_QUERY, USER_LIST, HEALTH, HEALTH_RESULT, SNAPSHOT_REQUEST, SNAPSHOT, ERROR, TRAILER,
 DISCOVERY_QUERY, DISCOVERY_RESULT, IDENTITY_REQUEST, IDENTITY,
 SHARD_APPEND, KEY_LIST_REQUEST, KEY_LIST, RULE_LIST_REQUEST, RULE_LIST,
 EXPORT_QUERY, EXPORT_PAGE) = range(1, 29)

BODY_LIMIT = {
    HELLO: 4096, HELLO_RESULT: 4096, APPEND: 16 * MIB, APPEND_RESULT: 16 * MIB, QUERY: MIB,
    MERGED_RESULT: 16 * MIB, PARTIAL_QUERY: 16 * MIB, PARTIAL_RESULT: 128 * MIB, USERS_QUERY: MIB,
    PARTIAL_USERS_QUERY: 16 * MIB, USER_LIST: 8 * MIB, HEALTH: 4096, HEALTH_RESULT: 4096,
    SNAPSHOT_REQUEST: 4096, SNAPSHOT: 8 * MIB, ERROR: 64 * 1024, TRAILER: 64,
    DISCOVERY_QUERY: 16384, DISCOVERY_RESULT: 64 * MIB,
    IDENTITY_REQUEST: 4096, IDENTITY: 8192, SHARD_APPEND: 16 * MIB, KEY_LIST_REQUEST: 64 * 1024, KEY_LIST: MIB,
    RULE_LIST_REQUEST: 4096, RULE_LIST: 8 * MIB, EXPORT_QUERY: 64 * 1024, EXPORT_PAGE: 16 * MIB,
}


class Frame:
    """A header and its decoded body."""

    def __init__(self, kind, body=b"", cluster=0, request=0, project=0, epoch=0, compressed=False):
        self.kind, self.body, self.cluster, self.request = kind, body, cluster, request
        self.project, self.epoch, self.compressed = project, epoch, compressed


def encode_frame(frame, compress=False):
    """The bytes of a frame. With `compress` the body goes as LZ4 where that saves an eighth of 128 bytes or more."""
    body, flags = frame.body, 0
    if compress and len(body) >= 128:
        block = lz4_encode(body)
        if len(block) <= len(body) - len(body) // 8:
            body, flags = block, 1
    head = HEADER.pack(MAGIC, VERSION, frame.kind, flags, frame.cluster, frame.request, frame.project, frame.epoch,
                       len(body), len(frame.body), checksums.crc32c(body), bytes(16))
    return head + struct.pack("<I", checksums.crc32c(head)) + body


def decode_header(data):
    """Checks 64 bytes in the order of section 2: (frame without body, flags, encoded, decoded length, checksum)."""
    magic, version, kind, flags, cluster, request, project, epoch, encoded, decoded, checksum, reserved = \
        HEADER.unpack(data[:60])
    if magic != MAGIC:
        raise SluiceError("malformed_frame", f"magic {magic.hex()}")
    if checksums.crc32c(data[:60]) != int.from_bytes(data[60:64], "little"):
        raise SluiceError("bad_checksum", "checksum of the header")
    if version != VERSION:
        raise SluiceError("unsupported_version", f"version {version}")
    if any(reserved):
        raise SluiceError("malformed_frame", "a reserved byte is set")
    if kind not in BODY_LIMIT:
        raise SluiceError("unknown_kind", f"kind {kind}")
    if flags & ~1:
        raise SluiceError("malformed_frame", f"flags {flags}")
    if encoded > BODY_LIMIT[kind] or decoded > BODY_LIMIT[kind]:
        raise SluiceError("too_large", f"a body of {encoded} / {decoded} bytes, at most {BODY_LIMIT[kind]}")
    if not flags & 1 and encoded != decoded:
        raise SluiceError("malformed_frame", f"lengths {encoded} and {decoded} of a body that is not compressed")
    frame = Frame(kind, b"", cluster, request, project, epoch, bool(flags & 1))
    return frame, encoded, decoded, checksum


def decode_frame(data, at=0, short="malformed_frame"):
    """The frame at `at` and the place after it. A frame that is cut is the error `short`."""
    if len(data) - at < 64:
        raise SluiceError(short, f"{len(data) - at} bytes where a header should be")
    frame, encoded, decoded, checksum = decode_header(data[at:at + 64])
    at += 64
    if len(data) - at < encoded:
        raise SluiceError(short, f"{len(data) - at} bytes of a body of {encoded}")
    body = bytes(data[at:at + encoded])
    if checksums.crc32c(body) != checksum:
        raise SluiceError("bad_checksum", "checksum of a body")
    frame.body = lz4_decode(body, decoded) if frame.compressed else body
    return frame, at + encoded


def decode_request(data):
    """A request body: exactly one frame."""
    frame, at = decode_frame(data)
    if at != len(data):
        raise SluiceError("malformed_frame", f"{len(data) - at} bytes after the frame")
    return frame
