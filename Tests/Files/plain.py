"""Reading without a preset: the columns and members that options name. FILES.md section 3."""

import dataclasses

import csvtext
import presets
from values import cell, first_of, flatten, parse_json


@dataclasses.dataclass
class Options:
    """Options of `sluice load`. `columns` stand for a file without a header."""
    user: str = "user_id"
    anonymous: str | None = None
    event: str | None = None
    time: str = "timestamp"
    id: str = "event_id"
    zone: str | None = None
    separator: str | None = None
    columns: list | None = None
    quotes: bool = True
    numbers: list = dataclasses.field(default_factory=list)
    texts: list = dataclasses.field(default_factory=list)
    json: list = dataclasses.field(default_factory=list)

    def arguments(self):
        given = []
        for flag, value, default in (
                ("--user-id", self.user, "user_id"), ("--anonymous-id", self.anonymous, None), ("--event", self.event, None),
                ("--timestamp", self.time, "timestamp"), ("--event-id", self.id, "event_id"), ("--time-zone", self.zone, None),
                ("--separator", self.separator, None)):
            if value != default:
                given += [flag, value]
        if self.columns:
            given += ["--no-header", "--columns", ",".join(self.columns)]
        if not self.quotes:
            given.append("--no-quotes")
        for flag, columns in (("--number", self.numbers), ("--text", self.texts), ("--json-column", self.json)):
            for column in columns:
                given += [flag, column]
        return given

    def kind(self, column):
        return "number" if column in self.numbers or "*" in self.numbers else "text" if column in self.texts or "*" in self.texts else None


class NoFile(Exception):
    """A file that can't be read as a whole."""


def find(members, name):
    """A member by its name as it stands, or else by the path."""
    if name is None:
        return None
    if name in members:
        return members[name]
    head, _, rest = name.partition(".")
    return find(members[head], rest) if rest and isinstance(members.get(head), dict) else None


def dropped(members, name):
    """The members without the one of that name or path."""
    if name is None:
        return members
    if name in members:
        return presets.without(members, name)
    head, _, rest = name.partition(".")
    if rest and isinstance(members.get(head), dict):
        return {**members, head: dropped(members[head], rest)}
    return members


def event_of(members, options, name, cells):
    """An event of members, of which those that are `cells` become properties as they stand, and the others as JSON does."""
    used = (options.user, options.anonymous, name, options.time, options.id)
    values = [find(members, n) for n in used]
    for n in used:
        members = dropped(members, n)
    objects = {key: value for key, value in members.items() if key not in cells and key != "properties"}
    inner = {} if "properties" in cells else flatten(presets.object_of(members.get("properties"), of_text=False))
    own = {key: members[key] for key in cells if key in members}
    event = presets.event([first_of(*values[:2])], values[2], values[3], values[4], flatten(objects), own, inner, zone=options.zone)
    return presets.record([event], presets.claims(("identify", values[1], values[0])) if options.anonymous else ())


def json_event(row, options):
    for column in options.json:
        if isinstance(row.get(column), str):
            row = {**row, column: parse_json(row[column]) if row[column] else None}
    name = options.event or ("event" if "event" in row else "event_type")
    return event_of(row, options, name, ())


def csv_event(row, options):
    name = options.event or ("event" if "event" in row else "event_type")
    used = (options.user, options.anonymous, name, options.time, options.id)
    members, cells = {}, []
    for column, text in row.items():
        if column in options.json:
            members[column] = parse_json(text) if text else None
        elif column in used:
            members[column] = text
        elif column:
            value = cell(text, options.kind(column))
            if value is not None:
                members[column] = value
                cells.append(column)
    return event_of(members, options, name, cells)


def is_json(text):
    return text.lstrip(" \t\r\n").startswith("{")


def header_of(fields, options):
    """The columns of a header, if it has the ones that are needed."""
    if fields is None or any(map(csvtext.broken, fields)):
        raise NoFile("the header can't be read")
    named = [column for column in fields if column]
    if len(set(named)) != len(named):
        raise NoFile("two columns of one name")
    wanted = [options.user, options.anonymous, options.time, *options.json, *options.numbers, *options.texts]
    wanted += [options.event] if options.event else []
    wanted += [options.id] if options.id != "event_id" else []
    heads = [name for name in wanted if name and name != "*" and not has(named, name, options)]
    if heads or not (options.event or "event" in named or "event_type" in named):
        raise NoFile("a column lacks")
    return fields


def has(columns, name, options):
    return name in columns or ("." in name and name.partition(".")[0] in columns and name.partition(".")[0] in options.json)


def read(data, options):
    """All records of a file, as `presets` gives them; NoFile where there is no header with the columns."""
    text = csvtext.decoded(data)
    if is_json(text):
        return presets.read_json(data, lambda row: json_event(row, options))
    columns = options.columns or (lambda fields: header_of(fields, options))
    return presets.read_csv(
        data, lambda row: csv_event(row, options), columns, options.separator, options.quotes, header=not options.columns)
