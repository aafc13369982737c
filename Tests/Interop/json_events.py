"""Events as lines of JSON, FUNNEL.md section 1, with their properties as the wire has them."""

import json
import math

from timestamps import parse_timestamp


def flatten(properties, prefix="", depth=1):
    """Wire properties of a JSON object: nested objects with dots, arrays as text, null left out."""
    flat, nested = {}, {}
    for key, value in properties.items():
        name = prefix + key
        if isinstance(value, dict) and depth < 16:
            nested.update(flatten(value, name + ".", depth + 1))
        elif isinstance(value, (dict, list)):
            flat[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
            flat[name] = float(value)
        elif value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            flat[name] = value
    return {**nested, **flat}


def event_of_json(row):
    """A line of `append`. A number is epoch microseconds, a text is read as in FUNNEL.md, section 1."""
    unknown = set(row) - {"user_id", "event", "timestamp", "event_id", "properties"}
    if unknown:
        raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
    when = row["timestamp"]
    when = parse_timestamp(when) if isinstance(when, str) else int(when)
    return {"user": row["user_id"], "event": row["event"], "microseconds": when, "id": row.get("event_id") or "",
            "properties": flatten(row.get("properties") or {})}
