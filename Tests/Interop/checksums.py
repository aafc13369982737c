"""CRC-32C in pure Python. Callers use `checksums.crc32c`, so that a faster one can be put in its place."""


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data, crc=0):
    """CRC-32C of `data`; `crc` continues an earlier result."""
    table = _CRC
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
