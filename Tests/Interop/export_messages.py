"""Pages of an export, and how they are asked for: PROTOCOL.md section 11, "Partial export"."""

import struct

from batches import decode_batch, encode_batch
from errors import invalid
from notation import string, varint, zigzag


def encode_place(place):
    out = struct.pack("<QIB", place["data"], place["ordinal"], "event" in place)
    if "event" not in place:
        return out
    out += zigzag(place["microseconds"]) + string(place["event"]) + string(place["id"])
    return out if place["id"] else out + struct.pack("<Q", place["properties"]) + varint(place["repeats"])


def read_place(reader):
    place = {"data": reader.number(8), "ordinal": reader.number(4)}
    if reader.flag():
        place |= {"microseconds": reader.zigzag(), "event": reader.text(256), "id": reader.text(256)}
        if not place["id"]:
            place |= {"properties": reader.number(8), "repeats": reader.varint()}
    return place


def encode_export_query(ask):
    out = zigzag(ask["start"]) + zigzag(ask["end"])
    out += bytes([("events" in ask) + 2 * ("user" in ask) + 4 * ("after" in ask)])
    if "events" in ask:
        out += varint(len(ask["events"])) + b"".join(map(string, ask["events"]))
    if "user" in ask:
        out += string(ask["user"])
    out += varint(ask["limit"])
    return out + encode_place(ask["after"]) if "after" in ask else out


def read_export_query(reader):
    ask = {"start": reader.zigzag(), "end": reader.zigzag()}
    flags = reader.u8()
    if flags > 7 or ask["end"] < ask["start"]:
        raise invalid(f"flags {flags}, or an end before the start")
    if flags & 1:
        ask["events"] = [reader.text(256) for _ in range(reader.varint(100))]
        if len(set(ask["events"])) < len(ask["events"]) or any(not name or name[0] == "\0" for name in ask["events"]):
            raise invalid("an event is empty, reserved or given twice")
    if flags & 2:
        ask["user"] = reader.text(512)
        if not ask["user"]:
            raise invalid("an empty user")
    ask["limit"] = reader.varint(65_536)
    if not ask["limit"]:
        raise invalid("limit 0")
    if flags & 4:
        ask["after"] = read_place(reader)
    return ask


def encode_export_page(page):
    place = b"\1" + encode_place(page["next"]) if "next" in page else b"\0"
    return place + encode_batch(page["events"])


def read_export_page(reader):
    page = {"next": read_place(reader)} if reader.flag() else {}
    page["events"] = decode_batch(reader.take(reader.left))
    if len(page["events"]) > 65_536:
        raise invalid(f"{len(page['events'])} events of a page")
    return page
