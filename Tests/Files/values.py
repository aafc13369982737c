"""Values of cells and of JSON, and the properties of an event: FILES.md sections 3 and 4, FUNNEL.md section 1."""

import decimal
import json
import re

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]*[1-9]\Z")
JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")


class Rejected(Exception):
    """Says why a record is no event."""


def parse_json(text):
    """Numbers with a fraction or an exponent come as Decimal, so that times lose no digit; NaN and Infinity are null."""
    def exact(digits):
        try:
            return decimal.Decimal(digits)
        except decimal.InvalidOperation:
            return float(digits)
    try:
        return json.loads(text, parse_float=exact, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise Rejected("not JSON")


def fits(number):
    return -2**63 <= number < 2**63


def number(value):
    """An integer of 64 bits, else a double; a double with an integer's value is that integer, so that 1 and 1.0 compare equal."""
    if isinstance(value, int) and fits(value):
        return value
    value = float(value)
    if value in (float("inf"), float("-inf")):
        return None
    return int(value) if value.is_integer() and fits(int(value)) else value


def prints_back(text):
    """Whether the nearest double has the same digits in its shortest form."""
    return decimal.Decimal(repr(float(text))) == decimal.Decimal(text)


def cell(text, kind=None):
    """The value of a CSV cell, None where it is absent. `kind` is "number" or "text" for columns of --number and --text."""
    if text == "":
        return None
    if kind == "text":
        return text
    if text in ("true", "false"):
        return text == "true"
    if kind == "number":
        if not JSON_NUMBER.match(text):
            return text
        return number(int(text) if INTEGER.match(text) else decimal.Decimal(text))
    if INTEGER.match(text):
        return int(text) if fits(int(text)) and text != "-0" else text
    if DECIMAL.match(text) and prints_back(text):
        return number(decimal.Decimal(text))
    return text


def flatten(members, prefix=""):
    """Nested objects by paths with `.`; a literal key beats a flattened one; null is absent; arrays are their JSON text."""
    flat, literal = {}, {}
    for key, value in members.items():
        if isinstance(value, dict):
            flat.update(flatten(value, prefix + key + "."))
        elif isinstance(value, list):
            literal[prefix + key] = text_of(value)
        elif isinstance(value, (bool, str)):
            literal[prefix + key] = value
        elif value is not None and number(value) is not None:
            literal[prefix + key] = number(value)
    return {**flat, **literal}


def text_of(value):
    """JSON without blanks, members in the order of the file, no character escaped that need not be."""
    return json.dumps(value, default=float, ensure_ascii=False, separators=(",", ":"))


def identifier(value):
    """An id of text or of an integer, which is its digits; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Rejected("an id is text or an integer")
    return str(value)


def first_of(*values):
    """The first value that is there and not empty."""
    return next((value for value in values if value not in (None, "")), None)


def size(text):
    return len(text.encode("utf-8", "surrogatepass"))
