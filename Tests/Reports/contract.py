"""Answers of the services against the HTTP API's document: Protocol/openapi.yaml, with the members of openapi-sdks.yaml.

    contract = Contract()
    contract.check("coordinator", "POST", "/v1/query", 200, headers, text, request_document)
    print(contract.summary())
"""

import collections
import json
import os
import re

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PROTOCOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Protocol")
DOCUMENTS = [os.path.join(PROTOCOL, name) for name in ("openapi.yaml", "openapi-sdks.yaml")]
URI = "urn:sluice:openapi"
METHODS = ("get", "put", "post", "delete")
# Answers of the router, which belong to no operation.
ROUTER = {404: "urn:sluice:not_found", 405: "urn:sluice:method_not_allowed"}
PRINTED = 5


class Operation:
    """One method of one path, with the pointer of its place in the document."""

    def __init__(self, path, method, item, document):
        self.path, self.method, self.document = path, method.upper(), document
        # Paths of SDKs share their items, so that these have no ids.
        item, pointer = resolved(document, item, f"#/paths/{escaped(path)}")
        self.body = item[method]
        self.id, self.services = self.body.get("operationId", self.name), self.body["tags"]
        self.pointer = f"{pointer}/{method}"
        self.pattern = re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(path)))

    @property
    def name(self):
        return f"{self.method} {self.path}"

    def roles(self):
        """Roles of the keys that open it; empty where it needs none."""
        asked = self.body.get("security", self.document["security"])
        return {role for entry in asked for role in entry.get("key", ())}

    def keys(self):
        """The places of an SDK's API key; None where the operation is not one of SDKs."""
        return self.body.get("x-keys")

    def examples(self):
        """(content type, example) of its request bodies."""
        for kind, media in self.body.get("requestBody", {}).get("content", {}).items():
            for example in resolved(self.document, media["schema"], "")[0].get("examples", []):
                yield kind, example

    def response(self, status):
        """The response for a status and its pointer; None where the document has none."""
        for name in (str(status), f"{status // 100}XX"):
            if name in self.body["responses"]:
                found, pointer = self.body["responses"][name], f"{self.pointer}/responses/{name}"
                return resolved(self.document, found, pointer)
        return None


class Contract:
    """Validates answers, and counts them by operation."""

    def __init__(self, paths=DOCUMENTS):
        self.document, self.operations = None, []
        self.seen = collections.defaultdict(collections.Counter)
        self.answers = self.failed = 0
        self.validators = {}
        if not all(map(os.path.exists, paths)):
            return
        for path in paths:
            with open(path) as file:
                self.document = joined(self.document or {}, yaml.safe_load(file))
        self.registry = Registry().with_resource(URI, Resource(contents=self.document, specification=DRAFT202012))
        self.operations = [
            Operation(path, method, item, self.document)
            for path, item in self.document["paths"].items() for method in METHODS if method in resolved(self.document, item, "")[0]]

    def operation(self, service, method, path):
        """The operation that a service must answer by; None where the document has none."""
        path = path.partition("?")[0]
        own = [o for o in self.operations if o.method == method and service in o.services]
        # A path without braces goes before one with.
        return next((o for o in own if o.path == path), None) or next((o for o in own if o.pattern.fullmatch(path)), None)

    def check(self, service, method, path, status, headers, text, request=None):
        """Validates an answer, and the request's document where it was accepted. Prints and returns the faults."""
        if self.document is None:
            return []
        operation = self.operation(service, method, path)
        faults = self.faults(operation, service, method, path, status, headers, text, request)
        self.answers += 1
        if operation and not faults:
            self.seen[operation.name][status] += 1
        if faults:
            self.failed += 1
            print(f"FAILED contract: {service} {method} {path}: {status}", flush=True)
            for fault in faults[:PRINTED]:
                print(f"       {fault}", flush=True)
        return faults

    def faults(self, operation, service, method, path, status, headers, text, request):
        kind = (headers.get("content-type") or "").partition(";")[0].strip()
        if status in ROUTER and kind == "application/problem+json" and ROUTER[status] in text:
            if operation:
                return [f"{operation.name} of {service} is in the document, and the service does not know it"]
            return self.errors("#/components/schemas/Problem", json.loads(text))
        if operation is None:
            return [f"{method} {path} of {service} is not in the document"]
        found = operation.response(status)
        if found is None:
            return [f"status {status} is not in the document"]
        response, pointer = found
        faults = self.header_faults(response, pointer, headers)
        content = response.get("content", {})
        if not content:
            return faults + ([f"a body, and the document has none: {text:.80}"] if text else [])
        if kind not in content:
            return faults + [f"content type {kind or 'none'}, and the document has {', '.join(content)}"]
        faults += self.body_faults(f"{pointer}/content/{escaped(kind)}", content[kind], kind, text)
        if request is not None and status // 100 == 2:
            schema = f"{operation.pointer}/requestBody/content/{escaped('application/json')}/schema"
            faults += [f"request: {fault}" for fault in self.errors(schema, request)]
        return faults

    def body_faults(self, pointer, media, kind, text):
        if kind == "text/event-stream":
            return self.event_faults(pointer, media, text)
        if kind == "application/x-ndjson":
            return [fault for line in text.splitlines() for fault in self.errors(f"{pointer}/x-lines", json.loads(line))]
        value = text
        if kind.endswith("json"):
            try:
                value = json.loads(text)
            except ValueError as error:
                return [f"the body is not JSON: {error}"]
        return self.errors(f"{pointer}/schema", value)

    def event_faults(self, pointer, media, text):
        """Of server-sent events that are whole."""
        faults = []
        for event in text.split("\n\n")[:-1]:
            lines = dict(line.split(": ", 1) for line in event.split("\n"))
            if lines.get("event") not in media["x-events"]:
                faults.append(f"event {lines.get('event')} is not in the document")
            else:
                faults += self.errors(f"{pointer}/x-events/{lines['event']}", json.loads(lines["data"]))
        return faults

    def header_faults(self, response, pointer, headers):
        faults = []
        for name, entry in response.get("headers", {}).items():
            header, at = resolved(self.document, entry, f"{pointer}/headers/{name}")
            value = headers.get(name)
            if value is not None:
                faults += [f"header {name}: {fault}" for fault in self.errors(f"{at}/schema", value)]
            elif header.get("required"):
                faults.append(f"header {name} is missing")
        return faults

    def validator(self, pointer):
        if pointer not in self.validators:
            self.validators[pointer] = Draft202012Validator({"$ref": URI + pointer}, registry=self.registry)
        return self.validators[pointer]

    def validator_of(self, operation, status, kind):
        """By the schema of an answer's body."""
        return self.validator(f"{operation.response(status)[1]}/content/{escaped(kind)}/schema")

    def errors(self, pointer, value):
        """Faults of a value by the schema at a pointer: JSON pointer, value and what the schema says."""
        found = [deepest(error) for error in self.validator(pointer).iter_errors(value)]
        # A member whose schema fails also counts as one that no schema has seen.
        found.sort(key=lambda error: (error.validator == "unevaluatedProperties", -len(error.absolute_path)))
        return [f"/{'/'.join(map(str, error.absolute_path))}: {json.dumps(error.instance):.100}: {said(error)}" for error in found]

    def unseen(self):
        """Names of operations without a validated answer other than errors."""
        return [o.name for o in self.operations if all(status >= 400 for status in self.seen[o.name])]

    def summary(self):
        if self.document is None:
            return "no Protocol/openapi.yaml: answers were not validated against it"
        lines = [f"contract: {self.answers:,} answers validated, {self.failed} failed"]
        for name, statuses in sorted(self.seen.items()):
            if statuses:
                lines.append(f"  {name}: " + ", ".join(f"{n:,} of {status}" for status, n in sorted(statuses.items())))
        if self.unseen():
            lines.append("  without a validated answer: " + ", ".join(self.unseen()))
        return "\n".join(lines)


def joined(first, second):
    """A document with the members of both; no other member may be in both than objects, which are joined too."""
    for key, value in second.items():
        if isinstance(value, dict) and isinstance(first.get(key), dict):
            joined(first[key], value)
        elif key in first:
            raise SystemExit(f"{key} is in both documents")
        else:
            first[key] = value
    return first


def resolved(document, value, pointer):
    """What a reference leads to, with its pointer."""
    if "$ref" not in value:
        return value, pointer
    pointer = value["$ref"]
    for part in pointer[2:].split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document, pointer


def escaped(part):
    return part.replace("~", "~0").replace("/", "~1")


def deepest(error):
    """Of alternatives, the fault of the one that fits best."""
    while error.context:
        error = best_match(error.context)
    return error


def said(error):
    return error.message if len(error.message) <= 200 else f"fails {error.validator}: {json.dumps(error.validator_value):.120}"
