"""The boards of deploy/grafana against a real cluster: every metric and every member of an answer that they name exists.

The expressions and the recording rules run in a real Prometheus, the requests of the board of funnels on a real coordinator.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from services import Cluster, free_port

DEPLOY = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../deploy"))
# What Prometheus itself makes.
OWN = {"up", "ALERTS"}
WORDS = {"sum", "count", "max", "without", "by", "rate", "increase", "deriv", "vector", "bool", "or", "histogram_quantile"}
# Words of the board about causes that this cluster does not have: their expressions may be without a value.
RARE = ("> 0",)
FIRST = time.time() - 3 * 86_400


def board(name):
    with open(os.path.join(DEPLOY, "grafana", name)) as file:
        return json.load(file)


def panels(of_board):
    return [panel for panel in of_board["panels"] if panel["type"] != "row"]


def rules():
    """Expressions of the recording rules by name. Each is on one line."""
    with open(os.path.join(DEPLOY, "prometheus/sluice.recording.yaml")) as file:
        return dict(re.findall(r"- record: (\S+)\n\s+expr: (.+)\n", file.read()))


def metrics_of(expression):
    """Names of the metrics in an expression: what is left without strings, labels, ranges and words of PromQL."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\b(?:by|without)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    return {name for name in re.findall(r"[a-zA-Z_][a-zA-Z0-9_:]*", bare) if name not in WORDS}


def exposed(cluster):
    """Names of all series that the services have, those of histograms included."""
    names = set()
    for service in cluster.all:
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", service.metrics(), re.MULTILINE):
            names |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names


def prepare(cluster):
    """Events of the last days, a saved funnel, an alert rule; and what is rejected."""
    events = []
    for day in range(3):
        for user in range(30):
            at = int(FIRST + day * 86_400 + user * 60)
            name, country = f"{day}-{user}", "DE" if user % 2 else "FR"
            events.append({"user_id": name, "event": "visit", "timestamp": at, "properties": {"country": country}})
            if user % 3 == 0:
                events.append({"user_id": name, "event": "buy", "timestamp": at + 600})
    assert cluster.send(events)[0] == 200
    put = lambda path, body: cluster.coordinator.call(path, body, method="PUT")
    assert put("/v1/funnels/shop", {"steps": ["visit", "buy"], "window_duration": "1d"})[0] == 201
    rule = {"funnel_id": "shop", "metric": {"kind": "count"}, "condition": {"threshold": {"below": 1}}, "period": "5m"}
    assert put("/v1/alerts/low", rule)[0] == 201


def traffic(cluster, turn):
    event = {"user_id": f"t{turn}", "event": "visit", "timestamp": int(time.time())}
    assert cluster.send([event, {"event": "visit"}])[0] == 200
    assert cluster.query()[0] == 200
    assert cluster.coordinator.call("/v1/query", {"funnel": {"steps": []}})[0] == 422


# MARK: The board of operators


def check_names(cluster):
    known, records = exposed(cluster), rules()
    faults = []
    for name, expression in records.items():
        faults += [f"recording rule {name}: no service has {metric}" for metric in sorted(metrics_of(expression) - known)]
    used = set()
    for panel in panels(board("operators.json")):
        for target in panel["targets"]:
            names = metrics_of(target["expr"])
            used |= names
            faults += [f"{panel['title']}: there is no {metric}" for metric in sorted(names - known - OWN - set(records))]
    faults += [f"no panel uses the recording rule {name}" for name in sorted(set(records) - used)]
    return faults, len(used)


class Prometheus:
    """A real one with the example of deploy, but for the targets and the intervals."""

    def __init__(self, folder, cluster):
        with open(os.path.join(DEPLOY, "prometheus/prometheus.yml")) as file:
            text = file.read().replace("15s", "1s")
        jobs = {"sluice-ingest": [cluster.ingest], "sluice-coordinator": [cluster.coordinator], "sluice-shard": cluster.shards}
        for job, services in jobs.items():
            targets = json.dumps([f"127.0.0.1:{service.http}" for service in services])
            text, count = re.subn(rf"(job_name: {job}\n\s+static_configs:\n\s+- targets: )\[.*\]", rf"\g<1>{targets}", text)
            assert count == 1, job
        for name in ("sluice.rules.yaml", "sluice.recording.yaml"):
            text = text.replace(f"- {name}", f"- {DEPLOY}/prometheus/{name}")
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w") as file:
            file.write(text)
        self.port = free_port()
        self.log = open(os.path.join(folder, "prometheus.log"), "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def query(self, expression):
        """The samples of an expression now. Throws if Prometheus does not take it."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def until(self, expression, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            try:
                if self.query(expression):
                    return True
            except OSError:
                pass
            time.sleep(0.2)
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def check_expressions(folder, cluster):
    prometheus = Prometheus(folder, cluster)
    try:
        faults = []
        for turn in range(4):
            traffic(cluster, turn)
            time.sleep(1.2)
        for name in rules():
            if not prometheus.until(name):
                faults.append(f"recording rule {name} has no value")
        for panel in panels(board("operators.json")):
            for target in panel["targets"]:
                try:
                    found = prometheus.query(target["expr"])
                except OSError as error:
                    faults.append(f"{panel['title']}: {target['expr']}: {error}")
                    continue
                if not found and not target["expr"].endswith(RARE):
                    faults.append(f"{panel['title']}: {target['expr']} has no value")
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    if any(label not in sample["metric"] for sample in found):
                        faults.append(f"{panel['title']}: {target['expr']} has no label {label}")
        return faults
    finally:
        prometheus.stop()


# MARK: The board of funnels


def members(value, path):
    """The value at a path such as `metric.kind`."""
    for name in filter(None, path.split(".")):
        if not isinstance(value, dict) or name not in value:
            raise KeyError(path)
        value = value[name]
    return value


def time_of(text):
    return time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


KINDS = {
    "string": lambda value: isinstance(value, str), "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "timestamp": lambda value: isinstance(value, str) and time_of(value) is not None,
}


def check_query(cluster, query, variables):
    """Faults of one query of the board, and its first column."""
    def filled(match):
        return urllib.parse.quote(variables[match[1]], safe="" if match[2] else ":")

    url = re.sub(r"\$\{(\w+(?::date:iso)?)(:percentencode)?\}", filled, query["url"])
    status, text = cluster.coordinator.call(url)
    if status != 200:
        return [f"{url}: {status} {text:.300}"], []
    try:
        root = members(json.loads(text), query["root_selector"])
    except KeyError as error:
        return [f"{url}: the answer has no {error}"], []
    rows = root if isinstance(root, list) else [root]
    faults = [] if rows else [f"{url}: {query['root_selector']} has no rows"]
    for column in query["columns"]:
        try:
            values = [members(row, column["selector"]) for row in rows]
        except KeyError:
            faults.append(f"{url}: a row has no {column['selector']}")
            continue
        given = [value for value in values if value is not None]
        if not given or not all(KINDS[column["type"]](value) for value in given):
            faults.append(f"{url}: {column['selector']} must be of type {column['type']}: {given[:3]}")
    return faults, [members(row, query["columns"][0]["selector"]) for row in rows] if not faults else []


def check_funnels(cluster):
    own = board("funnels.json")
    iso = lambda at: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
    variables = {"__from:date:iso": iso(FIRST - 3_600), "__to:date:iso": iso(time.time())}
    faults, queries = [], 0
    for variable in own["templating"]["list"]:
        if variable["type"] == "query":
            wrong, values = check_query(cluster, variable["query"]["infinityQuery"], variables)
            faults += wrong
            variables[variable["name"]] = values[0] if values else ""
        elif variable["type"] != "datasource":
            variables[variable["name"]] = variable["current"]["value"]
    units = next(variable["query"].split(",") for variable in own["templating"]["list"] if variable["name"] == "unit")
    for panel in panels(own):
        names = {column["text"] for target in panel["targets"] for column in target["columns"]}
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] not in names:
                faults.append(f"{panel['title']}: no column is named {override['matcher']['options']}")
        field = panel["options"].get("xField")
        if field is not None and field not in names:
            faults.append(f"{panel['title']}: no column is named {field}")
        for target in panel["targets"]:
            for unit in units if "${unit}" in target["url"] else units[:1]:
                queries += 1
                faults += [f"{panel['title']}: {fault}" for fault in check_query(cluster, target, {**variables, "unit": unit})[0]]
    return faults, queries


def until_evaluated(cluster):
    """Waits for the first evaluation of the alert rule, which the board shows."""
    end = time.time() + 60
    while time.time() < end:
        if json.loads(cluster.coordinator.call("/v1/alerts/low")[1])["state"]["evaluated_until"]:
            return
        time.sleep(0.2)
    raise RuntimeError("the alert rule was not evaluated")


def main():
    with tempfile.TemporaryDirectory(prefix="sluice-boards-") as folder:
        cluster = Cluster(folder, "boards", coordinator=["--alert-seconds", "1"])
        try:
            prepare(cluster)
            names, used = check_names(cluster)
            values = check_expressions(folder, cluster)
            until_evaluated(cluster)
            funnels, queries = check_funnels(cluster)
        finally:
            cluster.stop()
    faults = names + values + funnels
    for fault in faults:
        print(f"FAIL {fault}")
    print(f"boards: {used} metrics and recording rules, {len(rules())} rules, {queries} requests for reports, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
