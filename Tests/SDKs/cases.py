"""The cases: which SDK sends which rows in which form, and what may go wrong on the way."""

import dataclasses
import re

import eventlog

# Python's SDKs and the forms that each has beside `plain`; `gzip` where it compresses.
PYTHON = {
    "segment": ["gzip", "profiles"],
    "rudder": ["gzip", "profiles"],
    "posthog": ["gzip", "profiles", "v1", "v1 gzip", "v1 deflate"],
    "mixpanel": ["plain text", "import", "profiles"],
    "amplitude": ["batch", "profiles"],
    "snowplow": ["self-describing", "get"],
}
# The forms of page.js with their events a request; the first is the one that faults and repeats are made with.
PAGES = {
    "segment": {"single": 1, "batch": 10},
    "rudder": {"single": 1, "beacon": 20},
    "posthog": {"gzip": 20, "json": 20, "form": 20, "beacon": 10},
    "mixpanel": {"form": 50, "image": 1, "beacon": 20},
    "amplitude": {"json": 30, "gzip": 30, "beacon": 15},
    "snowplow": {"post": 10, "image": 1, "beacon": 20},
}
FAULTS = ["429", "503", "413", "slow", "reset"]
SHORT_FAULTS = {"segment": "503", "rudder": "429", "posthog": "reset", "mixpanel": "503", "amplitude": "429", "snowplow": "reset"}
# Who drops a batch after an answer, by design; ingest itself does not give these answers to them (SDKS.md section 11).
DROPS = {("413", "segment"), ("413", "rudder"), ("413", "posthog")}
PAGE_DROPS = DROPS | {("429", "posthog")}


@dataclasses.dataclass
class Case:
    sdk: str
    form: str
    log: eventlog.Log
    # A fault of proxy.py, or `again`: the caller gives the ids and sends everything a second time.
    fault: str | None = None
    size: int | None = None  # of a request of a page; None: this is an SDK of Python
    is_page = property(lambda self: self.size is not None)
    # Snowplow's tracker in Python makes its ids itself. There the network repeats the requests, in place of the caller.
    takes_ids = property(lambda self: self.is_page or self.sdk != "snowplow")
    runs = property(lambda self: 2 if self.fault == "again" and self.takes_ids else 1)
    proxy_fault = property(lambda self: self.fault if self.fault != "again" else None if self.takes_ids else "twice")
    # Mixpanel's SDK in Python repeats requests over TLS alone.
    uses_tls = property(lambda self: not self.is_page and self.sdk == "mixpanel" and self.form != "plain text")
    is_beacon = property(lambda self: self.form == "beacon")
    may_drop = property(lambda self: (self.fault, self.sdk) in (PAGE_DROPS if self.is_page else DROPS))
    # amplitude-analytics loses sight of a request whose connection is reset: its thread ends by an exception.
    may_be_silent = property(lambda self: not self.is_page and self.sdk == "amplitude" and self.fault == "reset")
    hold = property(lambda self: 11.0 if self.sdk == "amplitude" and not self.is_page else 1.6)

    @property
    def title(self):
        fault = {"again": "twice", "kill": "shard killed"}.get(self.fault, self.fault)
        return ", ".join(word for word in (self.form, fault, self.log.name) if word)

    @property
    def larger_than(self):
        """413 only for requests of more events, where the SDK cuts its batches."""
        if self.fault == "413" and self.sdk in ("amplitude", "mixpanel"):
            return 12 if self.is_page else 60 if self.sdk == "amplitude" else None
        return None

    @property
    def is_structured(self):
        """Whether Snowplow's structured events carry the rows, which have no properties of the caller's choice."""
        return self.sdk == "snowplow" and self.form not in ("self-describing", "post", "beacon")


def plan(logs, short, chosen, random_numbers):
    """The cases, those with a kill apart, as `logs` allow: real ones, or generated."""
    made = eventlog.generated(120 if short else 900, random_numbers)
    main = logs[-1] if logs else made
    small = main.sample(400 if short else 1_500, random_numbers)
    page = main.sample(40 if short else 120, random_numbers)
    odd = made.sample(40 if short else 120, random_numbers)
    # A browser takes 64 KiB of beacons at a time.
    end = made.sample(30, random_numbers)
    cases, kills = [], []
    for sdk, forms in PYTHON.items():
        if sdk not in chosen:
            continue
        if short:
            cases += [Case(sdk, "plain", small), Case(sdk, "plain", small, "again"), Case(sdk, "plain", small, SHORT_FAULTS[sdk])]
            cases += [Case(sdk, "gzip", made)] if "gzip" in forms else [Case(sdk, "plain", made)]
            continue
        for log in logs:
            # Snowplow's tracker sends 10 events a request.
            most = 3_000 if sdk == "snowplow" else 16_000 if len(log.rows) < 16_000 else 8_000
            cases.append(Case(sdk, "plain", log.sample(most, random_numbers)))
        cases += [Case(sdk, "plain", made)]
        of_form = {"profiles": made, "self-describing": made.renamed(plain_name), "get": page}
        cases += [Case(sdk, form, of_form.get(form, small)) for form in forms]
        cases += [Case(sdk, "plain", small, fault) for fault in ["again", *FAULTS]]
        if sdk == "posthog":
            cases += [Case(sdk, "v1", small, fault) for fault in ("503", "reset")]
            kills += [Case(sdk, "v1", small, "kill")]
        kills += [Case(sdk, "plain", small, "kill")]
    if "browser" in chosen:
        for sdk, forms in PAGES.items():
            first = next(iter(forms))
            for form, size in forms.items():
                rows = page if form == "single" else end if form == "beacon" else odd
                is_named = sdk == "snowplow" and form != "image"
                cases.append(Case(sdk, form, rows.renamed(plain_name) if is_named else rows, size=size))
            rows = page.renamed(plain_name) if sdk == "snowplow" else page
            faults = [SHORT_FAULTS[sdk]] if short else FAULTS
            cases += [Case(sdk, first, rows, fault, forms[first]) for fault in ["again", *faults]]
            kills += [] if short else [Case(sdk, first, rows, "kill", min(forms[first], 10))]
    return cases, kills


def plain_name(event):
    """As a schema's name must be."""
    plain = re.sub("[^A-Za-z0-9_-]", "_", event)
    return plain if plain == event else f"{plain}-{sum(event.encode())}"
