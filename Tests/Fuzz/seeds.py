#!/usr/bin/env python3
"""Writes a corpus to begin with, a folder for each surface that reads requests or rules: seeds.py DIRECTORY

Requests are the samples of Tests/Hostile, in the form that SDKSurface.swift and NativeSurface.swift describe.
"""

import base64
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Hostile"))
from bodies_samples import SAMPLES  # noqa: E402

# Letters of `headers` in SDKSurface.swift.
FIELDS = {"application/json": "a", "application/x-www-form-urlencoded": "b", "application/x-ndjson": "c", "text/plain": "d",
          "application/cloudevents+json": "e", "application/cloudevents-batch+json": "f"}
# More than any product has endpoints that are read differently.
ENDPOINTS = "abcdefgh"
RULES = [
    {"rules": [{"replace_prefix": "app.", "with": ""}, {"lower_case_events": True}, {"rename_events": ["visit", "page view"], "to": "Visit"}]},
    {"rules": [{"drop_events": "Purchase", "match": "any_case"}, {"rename_properties": ["Plan"], "to": "plan", "events": ["Visit"]}]},
    {"rules": [{"drop_properties": ["long"]}, {"cast_properties": ["amount", "paid"], "to": "number", "otherwise": "reject"}]},
    {"revision": 3, "rules": [{"default_property": "source", "value": "web", "events": ["Visit", "visit"]},
                              {"missing_timestamp": ["events", "track_event"], "to": "server_time"}]}]


def requests():
    """(surface, body) of each sample."""
    for sample in SAMPLES:
        text = sample.filled("k").encode()
        if sample.title.startswith("native"):
            form = {"native, lines": "b", "native, one": "c"}.get(sample.title, "a")
            yield "native-json", form.encode() + text
            continue
        surface = sample.title.partition(",")[0]
        fields = "g" if sample.title == "cloudevents, binary" else FIELDS[sample.type]
        query = sample.query.encode()
        if sample.wrap in ("query", "base64query"):
            data = text if sample.wrap == "query" else b"data=" + base64.b64encode(text)
            query, text = query + b"&" * bool(query) + data, b""
        elif sample.wrap != "plain":
            text = b"data=" + (text if sample.wrap == "form" else base64.b64encode(text))
        for endpoint in ENDPOINTS:
            yield surface, (endpoint + fields).encode() + query + b"\n" + text


def main():
    seeds = {*requests(), *(("rules", json.dumps(rules).encode()) for rules in RULES)}
    for number, (surface, body) in enumerate(sorted(seeds)):
        folder = os.path.join(sys.argv[1], surface)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"seed-{number}"), "wb") as file:
            file.write(body)


if __name__ == "__main__":
    main()
