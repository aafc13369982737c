"""The events that the SDKs send: rows of real logs, or generated ones.

A row is {"row": its number, "id", "user", "event", "ms": epoch milliseconds, "group": text or null, "value": number or null,
"more": other properties}.
"""

import csv
import datetime
import gzip
import os
import random

# The columns that become `group` and `value`, and the steps of a funnel.
REAL = {
    "sepsis_hospital.csv.gz": ("org_group", None, ["ER Registration", "ER Triage", "LacticAcid", "Admission NC", "Release A"]),
    "bpi2012_loan_applications.csv.gz": (
        "resource", "amount_req", ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_APPROVED"]),
}
# Names beyond ASCII, and names that differ in case alone.
SHOP = ["Visit", "visit", "Añadir al carrito", "購入 🛒"]


class Log:
    """Rows, the funnel's steps, and a condition on step 1: (property, op, value)."""

    def __init__(self, name, rows, steps, condition):
        self.name, self.rows, self.steps, self.condition = name, rows, steps, condition

    def sample(self, most, random_numbers):
        """All rows of randomly chosen users, at least `most` of them if there are so many."""
        users = sorted({row["user"] for row in self.rows})
        random_numbers.shuffle(users)
        sizes = {}
        for row in self.rows:
            sizes[row["user"]] = sizes.get(row["user"], 0) + 1
        chosen, total = set(), 0
        for user in users:
            if total >= most:
                break
            chosen.add(user)
            total += sizes[user]
        return Log(self.name, [row for row in self.rows if row["user"] in chosen], self.steps, self.condition)

    def renamed(self, name):
        """With other names of events. Two events must not get the same one."""
        names = {row["event"] for row in self.rows}
        assert len({name(event) for event in names}) == len(names)
        rows = [{**row, "event": name(row["event"])} for row in self.rows]
        return Log(self.name, rows, [name(step) for step in self.steps], self.condition)


def real(directory):
    """The logs of the directory, and the names of those that are not there."""
    logs, missing = [], []
    for name, (group, value, steps) in REAL.items():
        path = os.path.join(directory or "", name)
        if not directory or not os.path.exists(path):
            missing.append(name)
            continue
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = [_row(number, record, group, value) for number, record in enumerate(csv.DictReader(file))]
        condition = ("value", ">=", 10_000) if value else ("group", "=", "A")
        logs.append(Log(name.split("_")[0], rows, steps, condition))
    return logs, missing


def _row(number, record, group, value):
    time = datetime.datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00"))
    return {
        "row": number, "id": record["event_id"], "user": record["user_id"], "event": record["event"],
        "ms": round(time.timestamp() * 1000), "group": record[group] or None,
        "value": float(record[value]) if value and record[value] else None, "more": {},
    }


def generated(users, random_numbers):
    """Traffic of a shop with what real logs lack: names beyond ASCII, times that are equal or 1 ms apart, odd properties."""
    rows = []
    start = 1_748_736_000_000
    for user in range(users):
        time = start + random_numbers.randrange(20 * 86_400_000)
        for step in range(random_numbers.randint(1, 9)):
            # Most go on to the next step; some repeat an earlier one.
            event = SHOP[min(step, 3)] if random_numbers.random() < 0.8 else random_numbers.choice(SHOP)
            time += random_numbers.choice([0, 1, 400, 1_000, 90_000, 86_400_000, 9 * 86_400_000])
            rows.append((f"user {user}" if user % 7 else f"usuário-{user} é", event, time))
    rows.sort(key=lambda row: row[2])
    return Log("generated", [
        {"row": number, "id": f"made-{number}", "user": user, "event": event, "ms": ms,
         "group": random_numbers.choice(["A", "B", "ß \"'\\"]), "value": random_numbers.choice([1, 9_999.5, 10_000, 20_000]),
         "more": _odd(random_numbers)}
        for number, (user, event, ms) in enumerate(rows)
    ], SHOP, ("value", ">=", 10_000))


def _odd(random_numbers):
    """Properties that SDKs send and strict readers of JSON refuse, beside common ones."""
    return random_numbers.choice([
        {}, {}, {"plan": "pro", "seats": 5, "trial": False}, {"ratio": float("nan"), "most": float("inf")},
        {"cart": {"items": [{"sku": "a-1", "price": 9.5}], "total": 9.5}, "tags": ["a", "b"], "none": None},
        {"text": "line\nbreak \t \u0000 \u2028 \U0001f6d2 & = + % ;"}, {"big": 2 ** 70, "long": "x" * 2_000},
    ])
