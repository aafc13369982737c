"""Numbers, strings and tables of PROTOCOL.md section 4: what writes them, and `Reader`."""

from errors import invalid


def varint(value):
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit into 64 bits")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} does not fit into 64 bits")
    return varint((value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF)


def text_bytes(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def string(value):
    data = text_bytes(value)
    return varint(len(data)) + data


def table(values):
    items = [text_bytes(value) for value in values]
    return varint(len(items)) + b"".join(varint(len(item)) for item in items) + b"".join(items)


class Reader:
    """Takes a message apart; whatever does not fit is `invalid_message` with the place."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    @property
    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left:
            raise invalid(f"byte {self.at}: {count} bytes wanted, {self.left} left")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self.number(1)

    def flag(self):
        value = self.u8()
        if value > 1:
            raise invalid(f"byte {self.at - 1}: {value} is neither 0 nor 1")
        return value == 1

    def varint(self, most=None):
        value = shift = 0
        start = self.at
        while True:
            byte = self.u8()
            if shift == 63 and byte > 1:
                raise invalid(f"byte {start}: a varint of more than 64 bits")
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if most is not None and value > most:
            raise invalid(f"byte {start}: {value} is over {most}")
        return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def string(self, most=None):
        return bytes(self.take(self.varint(most)))

    def text(self, most=None):
        start, data = self.at, self.string(most)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise invalid(f"byte {start}: not UTF-8") from None

    def table(self, most, longest, what):
        count = self.varint()
        if count > most:
            raise invalid(f"{count} {what}, at most {most}")
        if count > self.left:
            raise invalid(f"{count} {what} in {self.left} bytes")
        lengths = [self.varint(longest) for _ in range(count)]
        return [bytes(self.take(length)) for length in lengths]

    def end(self):
        if self.left:
            raise invalid(f"byte {self.at}: {self.left} bytes left over")
