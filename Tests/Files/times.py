"""Times as microseconds since 1970: FILES.md section 5 and FUNNEL.md section 1."""

import datetime
import decimal
import re
import zoneinfo

DAY_US = 86_400_000_000
EARLIEST = 365 * DAY_US
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
ISO = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?| (?:UTC|GMT|Z|[+-][0-9]{2}:?[0-9]{2}))?)?\Z")


class NoTime(Exception):
    pass


def of_number(value):
    """Seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, nanoseconds from there on. Digits beyond are cut."""
    value = decimal.Decimal(value)
    if not value.is_finite() or value < 0 or value > 10**25:
        raise NoTime
    unit = 1_000_000 if value < 10**11 else 1000 if value < 10**14 else 1 if value < 10**17 else None
    with decimal.localcontext() as context:
        context.prec = 60
        us = int(value * unit) if unit else int(value // 1000)
    if us >= 2**63:
        raise NoTime
    return us


def offset_us(zone):
    """Microseconds east of UTC of `Z`, `UTC`, `GMT`, `+hh`, `+hhmm`, `+hh:mm`."""
    if zone.upper() in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise NoTime
    return (hours * 60 + minutes) * 60_000_000 * (-1 if zone[0] == "-" else 1)


def us_of(moment):
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def of_local(moment, zone):
    """A local time in a zone: the earlier of two, an error where there is none."""
    if zone is None:
        return us_of(moment.replace(tzinfo=UTC))
    there = moment.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=0)
    if there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None, fold=0) != moment:
        raise NoTime
    return us_of(there.astimezone(UTC))


def of_day(date, zone):
    """The first instant of a day, found by going through the day's minutes, each at its first coming."""
    for minute in range(24 * 60):
        try:
            return of_local(datetime.datetime.combine(date, datetime.time(minute // 60, minute % 60)), zone)
        except NoTime:
            continue
    raise NoTime


def of_text(text, zone=None):
    if NUMBER.match(text):
        return of_number(text)
    found = ISO.match(text)
    if not found:
        raise NoTime
    try:
        date = datetime.date.fromisoformat(found["date"])
        if found["hour"] is None:
            return of_day(date, zone)
        time = datetime.time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0))
        moment = datetime.datetime.combine(date, time)
        cut = int((found["fraction"] or "").ljust(6, "0")[:6])
        if found["zone"]:
            return us_of(moment.replace(tzinfo=UTC)) - offset_us(found["zone"].strip()) + cut
        return of_local(moment, zone) + cut
    except (ValueError, OverflowError):
        raise NoTime


def of_value(value, zone=None):
    """The time of a member or a cell."""
    if isinstance(value, bool) or value is None or isinstance(value, (dict, list)):
        raise NoTime
    return of_text(value, zone) if isinstance(value, str) else of_number(value)


def allowed(us):
    """From 1971 to a day ahead of now."""
    now = datetime.datetime.now(UTC)
    return EARLIEST <= us <= us_of(now) + DAY_US


def shown(us):
    """RFC 3339 with `Z` and a fraction of no, three or six digits, as few as hold it."""
    moment = EPOCH + datetime.timedelta(microseconds=us)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = us % 1_000_000
    if fraction:
        text += f".{fraction // 1000:03d}" if fraction % 1000 == 0 else f".{fraction:06d}"
    return text + "Z"


# MARK: strptime

SHORT = {"%T": "%H:%M:%S", "%D": "%m/%d/%y", "%F": "%Y-%m-%d", "%R": "%H:%M", "%n": " ", "%t": " ", "%e": "%d"}
CLOCK = ("%H", "%I", "%M", "%S", "%f")


def of_format(text, form, zone=None):
    """A text in a format of strptime, read by Python's, which knows neither %s nor more than six digits of %f."""
    form = re.sub(r"%.", lambda m: SHORT.get(m[0], m[0]), form)
    if "%s" in form:
        found = re.fullmatch(re.escape(form).replace("%s", "(?P<s>[0-9]+)").replace("%f", "(?P<f>[0-9]{1,9})"), text)
        if not found:
            raise NoTime
        return of_number(found["s"]) + (int(found["f"].ljust(6, "0")[:6]) if "%f" in form else 0)
    if "%f" in form:
        text = re.sub(r"(?<=[.,:])([0-9]{6})[0-9]{1,3}(?![0-9])", r"\1", text)
    try:
        moment = datetime.datetime.strptime(text, form)
    except ValueError:
        raise NoTime
    if "%j" in form and str(moment.year) not in text:
        raise NoTime  # Day 366 of a shorter year, which Python takes as the first of the next one.
    if moment.tzinfo:
        return us_of(moment)
    if "%Z" in form:
        return us_of(moment.replace(tzinfo=UTC))
    return of_local(moment, zone) if any(part in form for part in CLOCK) else of_day(moment.date(), zone)
