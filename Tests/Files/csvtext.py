"""Lines and records of a text, with Python's csv module: FILES.md sections 1 and 2."""

import csv
import gzip
import io

SEPARATORS = ",;\t|"
csv.field_size_limit(2**31 - 1)


def decoded(data):
    """The text of a file. Bytes that are not UTF-8 become lone surrogates, which `broken` finds again."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def broken(text):
    """Whether the text has bytes that are not UTF-8."""
    return any("\udc80" <= c <= "\udcff" for c in text) if not text.isascii() else False


def lines_of(text):
    """Lines with their ends, which are LF, CRLF and CR and nothing else."""
    return list(io.StringIO(text, newline=""))


def is_empty(line):
    return line.rstrip("\r\n") == ""


def separator_of(line):
    """The separator that occurs most often outside quotes; None where two occur equally often."""
    outside = "".join(line.split('"')[::2])
    counts = {s: outside.count(s) for s in SEPARATORS}
    best = max(counts.values())
    found = [s for s in SEPARATORS if counts[s] == best]
    return "," if best == 0 else found[0] if len(found) == 1 else None


def records(lines, separator, quotes=True):
    """(first line, last line, fields) of every record, counted from 1. Fields are None where the quoting is broken: the record is then
    its first line alone, and reading goes on with the next line."""
    at = 0
    while at < len(lines):
        reader = csv.reader(
            iter(lines[at:]), delimiter=separator, strict=True, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)
        base, done = at, 0
        try:
            for fields in reader:
                first, done = base + done + 1, reader.line_num
                if fields:
                    yield first, base + done, fields
            at = len(lines)
        except csv.Error:
            at = base + done + 1
            yield at, at, None


def matched(fields, width):
    """The fields of a record of `width` columns, None where it has another number. One more is accepted where it is empty."""
    if len(fields) == width + 1 and fields[-1] == "":
        fields = fields[:-1]
    return fields if len(fields) == width else None
