"""Ranges and buckets of time: FUNNEL.md sections 4 and 6. Instants are microseconds since 1970 UTC."""

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)


def instant(text):
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


def moment(us, zone):
    return (EPOCH + timedelta(microseconds=us)).astimezone(zone)


def day_start(day, zone):
    """The first instant that the zone counts to the day. Where clocks leap over midnight, zoneinfo takes the offset before."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - EPOCH) // MICROSECOND


def zone_of(body):
    return ZoneInfo(body.get("time_zone", "UTC"))


def is_day(text):
    return len(text) == 10


def span(body, always):
    """`start` and `end` of a query, half-open."""
    zone = zone_of(body)
    start, end = body.get("start"), body.get("end")
    low = always[0] if start is None else day_start(date.fromisoformat(start), zone) if is_day(start) else instant(start)
    high = always[1] if end is None else \
        day_start(date.fromisoformat(end) + timedelta(days=1), zone) if is_day(end) else instant(end)
    return low, high


def previous(body):
    """The range of the same length that ends where the query's begins: days of the zone where both bounds are days."""
    zone = zone_of(body)
    start, end = body["start"], body["end"]
    low, high = span(body, None)
    if is_day(start) and is_day(end):
        days = date.fromisoformat(end) - date.fromisoformat(start) + timedelta(days=1)
        return day_start(date.fromisoformat(start) - days, zone), low
    return low - (high - low), low


def buckets(by, zone, first, last):
    """Bounds of the buckets from the one of instant `first` to the one of `last`, each end being the next one's start."""
    if by == "hour":
        quarter = 900_000_000
        at = first // quarter * quarter
        while moment(at, zone).minute:
            at -= quarter
        bounds = [at]
        while bounds[-1] <= last:
            at += quarter
            while moment(at, zone).minute:
                at += quarter
            bounds.append(at)
        return bounds
    day = moment(first, zone).date()
    if by == "week":
        day -= timedelta(days=day.weekday())
    if by == "month":
        day = day.replace(day=1)
    bounds = [day_start(day, zone)]
    while bounds[-1] <= last:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1) if by == "month" else \
            day + timedelta(days=7 if by == "week" else 1)
        bounds.append(day_start(day, zone))
    return sorted(set(bounds))  # a day that the zone left out has none
