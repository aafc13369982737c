"""What FILES.md leaves open: files and records of which two readings are right. Spoiled files run into them; they are not compared."""

import decimal
import json
import re

import csvtext
import plain
import times
from values import DECIMAL, JSON_NUMBER, number, text_of

BLANK = " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\ufeff"
PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
CONSTANT = re.compile(r"-?\b(Inf|nan|NaN|Infinity)\b")
ZONE_AFTER_BLANK = re.compile(r"[0-9].*\s([a-zA-Z]+|[+-][0-9:]*)\s*\Z")
BARE_POINT = re.compile(r"[.,](?![0-9])")
ESCAPED = re.compile(r"\x7f|\\u00|\\[bf]")
MOST = 24_000


def significant(text):
    return len(text.lstrip("-").replace(".", "").lstrip("0"))


def may_be_blank(line):
    return line.strip(BLANK) == ""


class Doubts:
    def __init__(self, data, options):
        text = csvtext.decoded(data)
        self.options, self.is_json = options, plain.is_json(text)
        self.lines = csvtext.lines_of(text)
        self.first = next((line for line in self.lines if not csvtext.is_empty(line)), "")
        self.separator = options.separator or csvtext.separator_of(self.first)
        self.of_file = self._of_file(text)
        self.columns = options.columns
        if not self.is_json and not options.columns and self.separator:
            self.columns = next(csvtext.records(self.lines, self.separator, options.quotes), (0, 0, None))[2] or []
            self.of_file |= options.user == "user_id" and "user_id" not in self.columns and options.anonymous in self.columns

    def _of_file(self, text):
        """Whether the separator, the header or the format can be seen in two ways."""
        bare = text.lstrip(BLANK + "\0")
        if not self.first or bare.startswith("[") or (bare.startswith("{") and not self.is_json):
            return True
        if self.is_json:
            return False
        if may_be_blank(self.first):
            return True
        odd = self.first.count('"') % 2 == 1 or not self.options.quotes
        return self.options.separator is None and (self.first is not self.lines[0] or self.separator is None or '"' in self.first and odd)

    def header_end(self):
        """The last line that can belong to the header."""
        if self.is_json or self.options.columns:
            return 0
        separators = [self.options.separator] if self.options.separator else csvtext.SEPARATORS
        return max(next(csvtext.records(self.lines, s, self.options.quotes), (0, 0, None))[1] for s in separators)

    def may_be_no_record(self, line):
        return may_be_blank(line) if self.is_json or self.of_file else csvtext.is_empty(line)

    def of_record(self, span):
        """Whether a record can be read in two ways."""
        own = self.lines[span[0] - 1:span[1]]
        if self.is_json:
            return of_json(own[0], self.options)
        fields = next(csvtext.records(own, self.separator, self.options.quotes), (0, 0, None))[2] or []
        return sum(map(len, own)) > MOST or any(self.of_cell(column, field) for column, field in zip(self.columns or [], fields))

    def of_cell(self, column, field):
        if column == self.options.time:
            return of_time(field)
        if column in self.options.json:
            return of_json(field, self.options)
        return of_number(field) or (self.options.kind(column) == "number" and beyond_doubles(field))


def of_time(text):
    """A zone after a blank in a spelling that FILES.md does not list; a point without digits behind it."""
    return bool(ZONE_AFTER_BLANK.match(text) or BARE_POINT.search(text)) and not times.ISO.match(text)


def of_number(text):
    """Decimals that print with an exponent, minus zero, and digits at the edge of fifteen."""
    return bool(DECIMAL.match(text)) and (
        0 < abs(float(text)) < 0.001 or text.startswith("-0") and float(text) == 0 or 15 <= significant(text) <= 17)


def beyond_doubles(text):
    """A JSON number that is infinite as a double."""
    return bool(JSON_NUMBER.match(text)) and number(decimal.Decimal(text)) is None


def of_json(text, options):
    """Keys that come twice or are empty, lone surrogates, a number where a name is due, deep nesting, a large event."""
    odd = [len(text) > MOST, bool(SURROGATE.search(PAIR.sub("", text)))]

    def pairs(members):
        keys = [key for key, _ in members]
        odd.extend([len(set(keys)) != len(keys), "" in keys, any(len(key) > 60 for key in keys)])
        return dict(members)

    try:
        row = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return bool(CONSTANT.search(text))
    if any(odd) or not isinstance(row, dict):
        return any(odd)
    inner = row.get("properties")
    members = inner if isinstance(inner, dict) else {}
    time = row.get(options.time)
    return (
        any(ESCAPED.search(text_of(part)) for part in lists(row)) or depth(row) > 10 or not isinstance(inner, (dict, str, type(None))) or isinstance(time, str) and of_time(time)
        or any(v is None or isinstance(v, (dict, list)) for key in members if key in row for v in (members[key], row[key]))
        or not all(isinstance(row.get(key, ""), (str, type(None))) for key in ("event", "event_type", options.event)))


def lists(value):
    """The arrays of an object, which become text; how text escapes a control character is left open."""
    for part in value.values():
        if isinstance(part, dict):
            yield from lists(part)
        elif isinstance(part, list):
            yield part


def depth(value):
    return 1 + max(map(depth, value.values()), default=0) if isinstance(value, dict) else 0
