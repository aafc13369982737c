"""Timestamps as text, FUNNEL.md section 1."""

import re

NO_TIME = 1 << 60  # microseconds: a time is below it

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{0,9}))?)?"
                   r"(?: *([Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt]|[+-]\d\d(?::?\d\d)?))?)?", re.ASCII)
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)


def _days(year, month, day):
    """Days since 1970-01-01 in the Gregorian calendar."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def parse_timestamp(text):
    """Microseconds since 1970 of a text: ISO 8601, or digits, whose number tells seconds, milli-, micro- or nanoseconds."""
    if match := _NUMBER.fullmatch(text):
        whole, fraction = int(match[1]), match[2] or ""
        unit = 6 if whole < 10**11 else 3 if whole < 10**14 else 0 if whole < 10**17 else -3
        value = whole * 10**unit + int((fraction + "000000")[:unit] or 0) if unit >= 0 else whole // 1000
        if value >= NO_TIME:
            raise ValueError(f"no timestamp: {text!r}")
        return value
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError(f"no timestamp: {text!r}")
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(match[i] or 0) for i in (4, 5, 6))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1] and hour < 24 and minute < 60 and second < 60):
        raise ValueError(f"no such date or time: {text!r}")
    offset, zone = 0, match[8] or "Z"
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "") + "00"
        hours, minutes = int(digits[:2]), int(digits[2:4])
        if hours > 23 or minutes > 59:
            raise ValueError(f"no such offset: {text!r}")
        offset = (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return seconds * 1_000_000 + int(((match[7] or "") + "000000")[:6])
