"""Sends rows by one SDK, in a process of its own: sender.py SDK, with the settings as JSON on the standard input.

Prints one line of JSON: `errors`, events that the SDK reported as failed; `successes`, those that it reported as sent, null if it
never says so; `notes`, the reasons of failures.
"""

import importlib
import json
import logging
import sys
import uuid
from datetime import datetime, timezone

# SDKs log each failed request; what matters is what they report.
logging.disable(logging.CRITICAL)


class Case:
    """The settings of a case, and what the SDK reports."""

    def __init__(self, settings):
        self.key, self.url, self.host = settings["key"], settings["url"], settings["host"]
        self.form, self.ids, self.timeout = settings["form"], settings["ids"], settings["timeout"]
        # Seconds without news after which no more is expected.
        self.patience = settings["patience"]
        self.gzip, self.profiles = self.form == "gzip", self.form == "profiles"
        with open(settings["rows"]) as file:
            self.rows = [json.loads(line) for line in file]
        self.errors, self.successes, self.notes = 0, None, []

    def failed(self, error, batch):
        """`on_error` of Segment, RudderStack and PostHog."""
        self.errors += len(batch)
        self.note(error)

    def note(self, error):
        text = str(error)[:120]
        if text not in self.notes and len(self.notes) < 5:
            self.notes.append(text)

    def first_rows(self):
        """The first row of each user."""
        seen = {}
        for row in self.rows:
            seen.setdefault(row["user"], row)
        return seen.values()


def properties(row):
    return {"row": row["row"], "group": row["group"], "value": row["value"], **row["more"]}


def moment(row):
    return datetime.fromtimestamp(row["ms"] / 1000, timezone.utc)


def plan(row):
    """The property of the row's user in the form `profiles`."""
    return "pro" if len(row["user"]) % 2 else "free"


def uuid_of(row):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, row["id"]))


def main():
    case = Case(json.load(sys.stdin))
    importlib.import_module("senders." + sys.argv[1]).send(case)
    print(json.dumps({"errors": case.errors, "successes": case.successes, "notes": case.notes}))


if __name__ == "__main__":
    main()
