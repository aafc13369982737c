"""Raw LZ4 blocks: decoder and encoder."""

import struct

from errors import SluiceError


def lz4_decode(block, size):
    """Undoes one raw LZ4 block that must give exactly `size` bytes."""
    def damaged(what):
        return SluiceError("damaged_compression", what)

    if size > 255 * len(block) + 64:
        raise damaged(f"{size} bytes cannot come of a block of {len(block)}")
    out, at, end = bytearray(), 0, len(block)

    def more(length):
        nonlocal at
        while True:
            if at >= end:
                raise damaged("the block ends in a length")
            byte = block[at]
            at += 1
            length += byte
            if byte != 255:
                return length

    while True:
        if at >= end:
            raise damaged("the block ends where a sequence should begin")
        token = block[at]
        at += 1
        literals = token >> 4
        if literals == 15:
            literals = more(literals)
        if literals > end - at:
            raise damaged("the block ends in its literals")
        if len(out) + literals > size:
            raise damaged(f"the block decodes to more than {size} bytes")
        out += block[at:at + literals]
        at += literals
        if at == end:
            break
        if end - at < 2:
            raise damaged("the block ends in an offset")
        offset = block[at] | block[at + 1] << 8
        at += 2
        length = token & 15
        length = (more(length) if length == 15 else length) + 4
        if offset == 0 or offset > len(out):
            raise damaged("an offset before the start")
        if len(out) + length > size:
            raise damaged(f"the block decodes to more than {size} bytes")
        if offset >= length:
            start = len(out) - offset
            out += out[start:start + length]
        else:  # the match overlaps itself: a pattern that repeats
            pattern = bytes(out[-offset:])
            out += (pattern * (length // offset + 1))[:length]
    if len(out) != size:
        raise damaged(f"the block decodes to {len(out)} bytes instead of {size}")
    return bytes(out)


def lz4_encode(data):
    """One raw LZ4 block: greedy, nearest earlier place of the next four bytes."""
    out, places, anchor, at, size = bytearray(), {}, 0, 0, len(data)

    def sequence(literals, match):
        high, low = min(len(literals), 15), 0 if match is None else min(match[1] - 4, 15)
        out.append(high << 4 | low)
        if high == 15:
            _lengths(out, len(literals) - 15)
        out.extend(literals)
        if match is not None:
            out.extend(struct.pack("<H", match[0]))
            if low == 15:
                _lengths(out, match[1] - 4 - 15)

    while at < size - 12:  # no match begins in the last 12 bytes, none reaches into the last 5
        four = data[at:at + 4]
        place = places.get(four)
        places[four] = at
        if place is None or at - place > 65535:
            at += 1
            continue
        length, most = 4, size - 5 - at
        while length < most and data[place + length] == data[at + length]:
            length += 1
        sequence(data[anchor:at], (at - place, length))
        at += length
        anchor = at
    sequence(data[anchor:], None)
    return bytes(out)


def _lengths(out, rest):
    while rest >= 255:
        out.append(255)
        rest -= 255
    out.append(rest)
