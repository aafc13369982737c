"""Answers with a member added, left out or changed: the API's document must notice each of them."""

# Maps whose members have names of the users' own.
FREE = {"event_types", "probability", "results", "events_with_missing_fields", "events_with_invalid_fields"}
# Members that an answer need not have.
OPTIONAL = {
    "funnel_id", "exclude", "hold_constant", "preset", "events", "where", "optional", "window_duration",
    "value", "order", "breakdown", "trend", "variants", "newest_event", "heavy_users", "errors", "errors_left_out", "shards", "retry",
    "string", "number", "boolean", "match", "limit", "details", "missing_field", "events_with_missing_fields", "events_with_invalid_fields"}


def shortened(value):
    """Of each list the first and the last entry."""
    if isinstance(value, dict):
        return {key: shortened(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shortened(entry) for entry in (value if len(value) < 3 else (value[0], value[-1]))]
    return value


def changes(value, path=()):
    """(what, path, key) of each change that the document must notice. A member that is renamed is one left out and one added."""
    if isinstance(value, dict):
        is_free = path and path[-1] in FREE or len(path) > 1 and path[-1] == "properties" and isinstance(path[-2], int)
        if not is_free:
            yield "added", path, "unknown_member"
        # An annotation has an end only if it is a span.
        optional = OPTIONAL | {"end"} if {"id", "text", "start"} <= value.keys() else OPTIONAL
        for key, member in value.items():
            if not is_free and key not in optional:
                yield "left out", path, key
            if not isinstance(member, (dict, list)):
                yield "changed", path, key
            yield from changes(member, path + (key,))
    elif isinstance(value, list):
        for i, member in enumerate(value):
            yield from changes(member, path + (i,))


def is_noticed(validator, value, what, path, key):
    """Whether a value with the change is not valid; the value is as before afterwards."""
    at = value
    for part in path:
        at = at[part]
    before = dict(at)
    if what == "left out":
        del at[key]
    else:
        at[key] = {"of": ["another type"]}
    noticed = not validator.is_valid(value)
    at.clear()
    at.update(before)
    return noticed


def strictness(run):
    """How many changes the document noticed; those that it did not are faults."""
    done, noticed = set(), 0
    for (service, method, path, status, _), (headers, value) in run.kept.items():
        operation = run.contract.operation(service, method, path)
        if operation is None or status == 405:
            continue
        validator = run.contract.validator_of(operation, status, headers["content-type"])
        for what, at, key in list(changes(value)):
            place = (operation.id, status, what, tuple("*" if isinstance(part, int) else part for part in at), key)
            if place in done:
                continue
            done.add(place)
            if is_noticed(validator, value, what, at, key):
                noticed += 1
            else:
                run.fail(f"{operation.name} {status}: /{'/'.join(map(str, (*at, key)))} {what}, and the document does not notice")
    return noticed
