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
    def __init__(self, programs, directory, shards=2):
        self.sluice = os.path.join(os.path.abspath(programs), "sluice")
        self.directory, self.shards = directory, shards
        self.info = self.process = None

    def __enter__(self):
        info = os.path.join(self.directory, "info.json")
        command = [self.sluice, "up", "--shards", str(self.shards), "--any-port", "--data", os.path.join(self.directory, "data")]
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(command + ["--info", info], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
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
        host, port = self.info["coordinator"]["http"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=300)
        body = None if document is None else json.dumps(document).encode()
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            time.sleep(2)  # a member that died is started again
            raise Refused(f"no answer: {error!r}") from None
        finally:
            connection.close()
        if response.status // 100 == 2:
            return json.loads(text) if text else None
        lacks = ("not supported by this", "no such path", *(f"{key} is not a known key" for key in LATER))
        for fault in faults(text):
            if any(lack in fault for lack in lacks):
                raise Unsupported(fault)
        raise Refused(f"status {response.status}: {text:.300}")

    def ask(self, path, document):
        return self.request("POST", path, document)

    def get(self, path, **parameters):
        query = "&".join(f"{key}={quote(str(value))}" for key, value in parameters.items())
        return self.request("GET", path + ("?" + query if query else ""))

    def save(self, funnel):
        return self.request("PUT", f"/v1/funnels/{funnel['funnel_id']}", funnel)


def faults(text):
    """An error's faults, each with its field, or else what it says."""
    try:
        error = json.loads(text)
        return [f"{fault['field']} {fault['reason']}" for fault in error.get("errors") or []] or [error["detail"]]
    except (ValueError, KeyError, TypeError):
        return [text[:80]]
