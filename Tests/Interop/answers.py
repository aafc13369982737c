"""Answers of PROTOCOL.md section 3: result frames, an error frame, the trailer."""

import struct

import checksums
from errors import OUTCOMES, SluiceError, invalid
from frames import (APPEND_RESULT, DISCOVERY_RESULT, ERROR, EXPORT_PAGE, HEALTH_RESULT, HELLO_RESULT, IDENTITY, KEY_LIST, MERGED_RESULT,
                    PARTIAL_RESULT, RULE_LIST, SNAPSHOT, TRAILER, USER_LIST, Frame, decode_frame, encode_frame)
from notation import Reader, string, varint

RESULT_KINDS = (HELLO_RESULT, APPEND_RESULT, MERGED_RESULT, PARTIAL_RESULT, USER_LIST, HEALTH_RESULT, SNAPSHOT,
                DISCOVERY_RESULT, IDENTITY, KEY_LIST, RULE_LIST, EXPORT_PAGE)


def decode_trailer(body):
    reader = Reader(body)
    status, rows, checksum = reader.number(2), reader.number(8), reader.number(4)
    reader.end()
    return status, rows, checksum


def encode_trailer(status, rows, checksum):
    return struct.pack("<HQI", status, rows, checksum)


def decode_answer(data, kind=None, request=None, head=None):
    """The result frames and the rows of an answer, all of it checked; raises the error that it tells.

    `head` is the kind of the first frame where it is another. An error may have request id 0, where the server could not make out
    a frame in the request.
    """
    results, error, checksum, at = [], None, 0, 0
    while True:
        frame, at = decode_frame(data, at, short="truncated_answer")
        told = frame.kind == ERROR or frame.kind == TRAILER and error is not None
        if request is not None and frame.request != request and not (told and frame.request == 0):
            raise SluiceError("malformed_frame", f"an answer to request {frame.request}, not {request}", "unknown")
        if frame.kind == TRAILER:
            break
        if error is not None:
            raise SluiceError("malformed_frame", "a frame after the error frame", "unknown")
        checksum = checksums.crc32c(frame.body, checksum)
        if frame.kind == ERROR:
            error = decode_error(frame.body)
        elif frame.kind in RESULT_KINDS and (kind in (None, frame.kind) or frame.kind == head and not results):
            results.append(frame)
        else:
            raise SluiceError("malformed_frame", f"a frame of kind {frame.kind} in an answer", "unknown")
    status, rows, announced = decode_trailer(frame.body)
    if at != len(data):
        raise SluiceError("malformed_frame", "bytes after the trailer", "unknown")
    if announced != checksum:
        raise SluiceError("bad_checksum", "checksum of the trailer", "unknown")
    if status != (error.code if error else 0):
        raise SluiceError("malformed_frame", f"status {status} of the trailer", "unknown")
    if error is not None:
        raise error
    return results, rows


def encode_answer(frames, rows=0, like=None):
    """For tests: the bytes of an answer, with the trailer that agrees."""
    checksum, status, out = 0, 0, b""
    for frame in frames:
        checksum = checksums.crc32c(frame.body, checksum)
        status = int.from_bytes(frame.body[:2], "little") if frame.kind == ERROR else status
        out += encode_frame(frame)
    like = like or frames[-1]
    return out + encode_frame(Frame(TRAILER, encode_trailer(status, rows, checksum), like.cluster, like.request,
                                    like.project, like.epoch))


def decode_error(body):
    reader = Reader(body)
    code, outcome, retryable, wait = reader.number(2), reader.u8(), reader.flag(), reader.number(4)
    if outcome > 2:
        raise invalid(f"outcome {outcome}")
    message = reader.text(4096)
    faults = [(reader.text(4096), reader.text(4096)) for _ in range(reader.varint(1000))]
    shards = [reader.text() for _ in range(reader.varint(256))]
    reader.end()
    return SluiceError(None, message, OUTCOMES[outcome], retryable, wait, faults, shards, code=code)


def encode_error(error):
    return (struct.pack("<HBBI", error.code, OUTCOMES.index(error.outcome), error.retryable, error.retry_after_ms)
            + string(error.message) + varint(len(error.faults))
            + b"".join(string(field) + string(reason) for field, reason in error.faults)
            + varint(len(error.shards)) + b"".join(map(string, error.shards)))
