"""Header blocks of HTTP/2 (RFC 7541), as far as a client with an empty dynamic table needs them."""

from errors import SluiceError


def hpack_integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def hpack_encode(headers):
    """Literals without indexing, no Huffman code: nothing to remember on either side."""
    def text(value):
        data = value.encode("latin-1")
        return hpack_integer(len(data), 7) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in headers)


# The Huffman code of the digits, as much as a status needs: 0 to 2 have five bits, 3 to 9 have six.
_DIGITS = {format(n, "05b"): str(n) for n in range(3)}
_DIGITS.update({format(22 + n, "06b"): str(n) for n in range(3, 10)})
_STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def hpack_status(block):
    """The :status of a header block; every other field is skipped. There is no dynamic table: we announced size 0."""
    at = 0

    def broken(what):
        return SluiceError("connection_lost", f"header block: {what}")

    def integer(bits):
        nonlocal at
        most = (1 << bits) - 1
        value = block[at] & most
        at += 1
        if value == most:
            shift = 0
            while True:
                value += (block[at] & 127) << shift
                shift += 7
                at += 1
                if block[at - 1] < 128:
                    break
        return value

    def text():
        nonlocal at
        huffman = block[at] & 128
        length = integer(7)
        data = block[at:at + length]
        at += length
        if not huffman:
            return data.decode("latin-1")
        bits, out, code = "".join(format(byte, "08b") for byte in data), "", ""
        for bit in bits:
            code += bit
            if code in _DIGITS:
                out, code = out + _DIGITS[code], ""
        return out if set(code) <= {"1"} and len(code) < 8 else None

    status = None
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index = integer(7)
                if not 1 <= index <= 61:
                    raise broken(f"index {index} of a dynamic table that does not exist")
                status = _STATUSES.get(index, status)
                continue
            if first & 0xE0 == 0x20:
                integer(5)
                continue
            index = integer(6 if first & 0x40 else 4)
            if index > 61:
                raise broken(f"index {index} of a dynamic table that does not exist")
            name = text() if index == 0 else None
            value = text()
            if 8 <= index <= 14 or name == ":status":
                status = int(value)
    except (IndexError, ValueError, TypeError):
        raise broken("damaged") from None
    if status is None:
        raise broken("no :status")
    return status
