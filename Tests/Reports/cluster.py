"""A cluster of its own for one run: `sluice up`, `sluice load`, and questions over HTTP."""

import http.client
import json
import os
import signal
import subprocess
import time
from urllib.parse import quote


# Keys of a query that older versions do not know.
LATER = ("cohort", "compare", "group")


class Unsupported(Exception):
    """The product says that it does not have this."""


class Refused(Exception):
    """Any other error of the product."""


class Cluster:
    """`contract` validates every answer, where it is given. `environment` holds settings of the services, such as keys."""

    def __init__(self, programs, directory, shards=2, contract=None, environment=None):
        self.sluice = os.path.join(os.path.abspath(programs), "sluice")
        self.directory, self.shards, self.contract = directory, shards, contract
        self.environment = {**os.environ, **(environment or {})}
        self.info = self.process = None

    def __enter__(self):
        info = os.path.join(self.directory, "info.json")
        command = [self.sluice, "up", "--shards", str(self.shards), "--any-port", "--data", os.path.join(self.directory, "data")]
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                command + ["--info", info], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        end = time.monotonic() + 120
        while self.info is None:
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                with open(log.name) as file:
                    raise SystemExit("sluice up did not get ready:\n" + file.read()[-2000:])
            time.sleep(0.05)
            try:
                with open(info) as file:
                    self.info = json.load(file)
            except (FileNotFoundError, ValueError):
                pass  # not there, or being written
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def load(self, files):
        command = [self.sluice, "load", "--to", self.info["ingest"]["wire"], *files]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(f"sluice load failed: {done.stdout}{done.stderr}")
        return done.stdout

    def request(self, method, path, document=None):
        body = None if document is None else json.dumps(document).encode()
        try:
            status, headers, text = exchange(
                self.info["coordinator"]["http"], method, path, body, {"content-type": "application/json"} if body else {})
        except (OSError, http.client.HTTPException) as error:
            time.sleep(2)  # a member that died is started again
            raise Refused(f"no answer: {error!r}") from None
        if self.contract:
            self.contract.check("coordinator", method, path, status, headers, text, document)
        if status // 100 == 2:
            return json.loads(text) if text else None
        lacks = ("not supported by this", "no such path", *(f"{key} is not a known {noun}" for key in LATER for noun in ("key", "member")))
        for fault in faults(text):
            if any(lack in fault for lack in lacks):
                raise Unsupported(fault)
        raise Refused(f"status {status}: {text:.300}")

    def ask(self, path, document):
        return self.request("POST", path, document)

    def get(self, path, **parameters):
        query = "&".join(f"{key}={quote(str(value))}" for key, value in parameters.items())
        return self.request("GET", path + ("?" + query if query else ""))

    def save(self, funnel):
        return self.request("PUT", f"/v1/funnels/{funnel['funnel_id']}", funnel)


def exchange(address, method, path, body=None, headers=None):
    """Status, headers and text of an answer."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode(errors="replace")  # of images
    finally:
        connection.close()


def faults(text):
    """An error's faults, each with its field, or else what it says."""
    try:
        error = json.loads(text)
        return [f"{fault['field']} {fault['reason']}" for fault in error.get("errors") or []] or [error["detail"]]
    except (ValueError, KeyError, TypeError):
        return [text[:80]]
