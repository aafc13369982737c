"""Reports as CSV and NDJSON, read back by Python's csv, by pandas and by DuckDB, and compared with the JSON of the same question.

    Tests/Reports/python.sh Tests/Reports/tables_test.py --programs .build/release

A cluster of two shards gets a funnel whose users, events and properties have values that spreadsheets, parsers and shells take for
something else, and a list of 50,000 users. Exit status 0 where all is well.
"""

import argparse
import csv
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

import duckdb
import pandas

from cluster import Cluster, exchange

KEYS = {"read": "read-key-of-the-tables-test", "admin": "admin-key-of-the-tables-test", "write": "write-key-of-the-tables-test"}
OTHER = "read-key-of-another-project"
ENVIRONMENT = {
    "SLUICE_READ_KEYS": f"{KEYS['read']},2:{OTHER}", "SLUICE_ADMIN_KEYS": KEYS["admin"], "SLUICE_WRITE_KEYS": KEYS["write"]}
AS_OF = "2026-03-01T00:00:00Z"
SPAN = "start=2026-01-01&end=2026-01-31&as_of=" + AS_OF
STEPS = ["=Visit", "Cart, \"big\"", "Buy\nnow"]
# What is piped can be read only once, and a relation of `duckdb.sql` reads twice.
PIPED = "import duckdb; print(duckdb.connect().execute(\"SELECT count(*), sum(entered) FROM {}('/dev/stdin')\").fetchone())"
RISKY = "=+-@'\t\r\n\uff1d\uff0b\uff0d\uff20"
USERS = 50_000


def nasty():
    """A hundred texts."""
    begins = ["=", "+", "-", "@", "'", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "  @"]
    texts = [begin + rest for begin in begins for rest in ("1+1", "cmd|' /C calc'!A0", "HYPERLINK(\"http://x\",\"y\")", "x,y;z")]
    texts += ["-5", "+5", "-1.5e3", "5", "007", "1,5", "true", "NULL", "null", "NA", "nan", "inf", "#N/A", "(other)", "", " ", "\"", "\"\""]
    texts += ["a,b", "a;b", "a\tb", "a\"b", "a\nb", "a\r\nb", "a\rb", "''x", "\\", "\\\"", "\\n"]
    texts += ["a\\", "%s", "{}", "[]", "<b>", "&amp;", "$(x)"]
    texts += ["\u00e9", "e\u0301", "\U0001f642", "\u202ered", "\u2028", "\ufeffx", "\u0001", "\u001b[31m", "\u007f", "x" * 300]
    texts = list(dict.fromkeys(texts))[:100]
    assert len(texts) == 100, len(texts)
    return texts


class Run:
    def __init__(self, cluster):
        self.cluster, self.failed, self.checked = cluster, 0, 0
        self.address = cluster.info["coordinator"]["http"]

    def check(self, is_well, text):
        self.checked += 1
        if not is_well:
            self.failed += 1
            print(f"FAILED {text:.500}", flush=True)

    def ask(self, method, path, body=None, key=KEYS["read"], status=200):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=300)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        self.check(answer.status == status, f"{method} {path}: status {answer.status}, expected {status}: {text:.300}")
        return answer.headers, text

    def json(self, path, body=None):
        return json.loads(self.ask("GET" if body is None else "POST", path, body)[1])

    def table(self, path, body=None):
        """Rows of CSV as dictionaries, from the same question with format=csv. The lines of NDJSON must be equal to them."""
        method, mark = "GET" if body is None else "POST", "&" if "?" in path else "?"
        headers, text = self.ask(method, f"{path}{mark}format=csv&raw=1", body)
        self.check(headers["content-type"] == "text/csv; charset=utf-8", f"{path}: {headers['content-type']}")
        self.check(headers["x-content-type-options"] == "nosniff", f"{path}: no nosniff")
        self.check(headers["content-disposition"].startswith("attachment; filename=\""), f"{path}: {headers['content-disposition']}")
        self.check(headers["sluice-as-of"] == AS_OF, f"{path}: Sluice-As-Of {headers['sluice-as-of']}")
        self.check(json.loads(headers["sluice-completeness"])["exact"] is True, f"{path}: {headers['sluice-completeness']}")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        self.check(text.endswith("\r\n"), f"{path}: no CR LF at the end")
        self.check(all(len(row) == len(rows[0]) for row in rows), f"{path}: rows of several lengths")
        rows = [dict(zip(rows[0], row)) for row in rows[1:]]
        headers, text = self.ask(method, f"{path}{mark}format=ndjson", body)
        self.check(headers["content-type"] == "application/x-ndjson", f"{path}: {headers['content-type']}")
        lines = [json.loads(line) for line in text.split("\n")[:-1]]
        self.check([{key: cell(value) for key, value in line.items()} for line in lines] == rows, f"{path}: NDJSON and CSV differ")
        return rows

    # MARK: parts

    def funnel(self):
        base = "/v1/funnels/nasty/report?" + SPAN
        report, rows = self.json(base), self.table(base)
        self.check(len(rows) == len(STEPS), f"{len(rows)} rows of steps")
        for row, step in zip(rows, report["steps"]):
            self.check(all(row[key] == cell(step[key]) for key in step if not key.endswith("_ci")), f"step {row} and {step}")
            for key in (key for key in step if key.endswith("_ci")):
                bounds = step[key] or [None, None]
                self.check([row[key + "_low"], row[key + "_high"]] == [cell(bound) for bound in bounds], f"{key} of {row}")
        self.check(rows[-1]["expected_conversions"] == cell(report["expected_conversions"]), "expected_conversions")
        definition = {"funnel_id": "nasty", "start": "2026-01-01", "end": "2026-01-31", "as_of": AS_OF}
        self.check(self.table("/v1/query", definition) == rows, "POST and GET differ")
        broken = self.json(base + "&breakdown=value&k=200")["breakdown"]
        rows = self.table(base + "&breakdown=value&k=200")
        self.check(len(rows) == len(broken["rows"]) >= len(nasty()), f"{len(rows)} rows of the breakdown")
        for row, value in zip(rows, broken["rows"]):
            same = row["value"] == cell(value["value"]) and row["entered"] == cell(value["entered"])
            same = same and row["step_2_count"] == cell(value["steps"][1]["count"])
            self.check(same, f"breakdown: {row} and {value}")
        texts = {row["value"] for row in rows if row["kind"] == "text"}
        self.check(texts == set(nasty()), f"values differ: {texts ^ set(nasty())}")
        self.check(self.table(base + "&breakdown=value&table=steps")[0]["count"] == cell(report["steps"][0]["count"]), "table=steps")
        trend = self.json(base + "&trend=day")["trend"]["buckets"]
        rows = self.table(base + "&trend=day")
        self.check([row["step_1_count"] for row in rows] == [cell(bucket["steps"][0]["count"]) for bucket in trend], "trend")
        before = "/v1/funnels/nasty/report?start=2026-01-04&end=2026-01-06&compare=previous_period&as_of=" + AS_OF
        change, rows = self.json(before)["change"]["steps"], self.table(before)
        self.check([row["change_count"] for row in rows] == [cell(step["count"]) for step in change], f"change: {change}")
        self.check(any(row["change_count"].startswith("-") for row in rows), "no change is negative")
        _, text = self.ask("GET", before + "&format=csv")
        guarded = list(csv.DictReader(io.StringIO(text, newline="")))
        self.check([row["change_count"] for row in guarded] == [row["change_count"] for row in rows], "a negative number is guarded")

    def guarded(self):
        """Without raw=1 no text begins a formula, and each can be had back. Negative numbers of the data stay numbers."""
        base = "/v1/funnels/nasty/report?" + SPAN + "&breakdown=value&k=200"
        raw = self.table(base)
        _, text = self.ask("GET", base + "&format=csv")
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        self.check(len(rows) == len(raw), "rows differ")
        for row, bare in zip(rows, raw):
            value = row["value"]
            if row["kind"] != "text":
                self.check(value == bare["value"], f"{value!r} was {bare['value']!r}")
                continue
            self.check(value.lstrip(" ")[:1] not in set(RISKY) - {"'"}, f"begins a formula: {value!r}")
            self.check((value[1:] if value.startswith("'") else value) == bare["value"], f"{value!r} was {bare['value']!r}")
        self.check(any(row["value"] == "-7" and row["kind"] == "number" for row in rows), "-7 is no number")

    def separate(self):
        place = "/v1/funnels/nasty/"
        for path, list_name, columns in (
            ("paths?dropped=2&k=50", "paths", ("users", "share")), ("predictors?min_users=1&k=1000", "predictors", ("lift", "p_value")),
            ("times?to=2&table=histogram&bins=5", "histogram", ("from_seconds", "users")),
        ):
            rows = self.table(f"{place}{path}&{SPAN}")
            report = self.json(f"{place}{path}&{SPAN}".replace("&table=histogram", ""))
            shown = [row for row in rows if row.get("row") != "other"]
            self.check(len(shown) == len(report[list_name]) > 0, f"{path}: {len(shown)} of {len(report[list_name])} rows")
            for row, entry in zip(shown, report[list_name]):
                self.check(all(row[key] == cell(entry[key]) for key in columns), f"{path}: {row} and {entry}")
        summary, times = self.table(f"{place}times?to=2&{SPAN}"), self.json(f"{place}times?to=2&{SPAN}")
        self.check(len(summary) == 1 and summary[0]["median_seconds"] == cell(times["median_seconds"]), f"{summary}")
        user = urllib.parse.quote("=user-01", safe="")
        told = self.json(f"{place}explain?user_id={user}&{SPAN}")
        rows = self.table(f"{place}explain?user_id={user}&{SPAN}")
        self.check([(row["time"], row["event"]) for row in rows] == [(e["time"], e["event"]) for e in told["events"]], f"{rows}")
        self.check([row["steps"] for row in rows] == [" ".join(map(str, e["steps"])) for e in told["events"]], f"{rows}")
        rows = self.table(f"{place}explain?user_id={user}&table=chosen&{SPAN}")
        self.check([json.loads(row["properties"]) for row in rows] == [e["properties"] for e in told["chosen"]], f"{rows}")
        rows = self.table(f"{place}explain?user_id={user}&table=summary&{SPAN}")
        self.check(rows[0]["user_id"] == "=user-01" and rows[0]["outcome"] == told["outcome"], f"{rows}")

    def readers(self, directory):
        """pandas reads the URL with the key in a header, DuckDB what curl pipes and saves."""
        url = f"http://{self.address}/v1/funnels/nasty/report?{SPAN}&format=csv&raw=1"
        told = self.json("/v1/funnels/nasty/report?" + SPAN)
        key = {"Authorization": f"Bearer {KEYS['read']}"}
        frame = pandas.read_csv(url, storage_options=key)
        self.check(frame["count"].tolist() == [step["count"] for step in told["steps"]], f"pandas: {frame}")
        self.check(frame["step"].tolist() == STEPS, f"pandas: {frame['step'].tolist()}")
        broken = self.json("/v1/funnels/nasty/report?" + SPAN + "&breakdown=value&k=200")["breakdown"]["rows"]
        options = {"storage_options": key, "dtype": {"value": str}, "keep_default_na": False}
        frame = pandas.read_csv(url + "&breakdown=value&k=200", **options)
        self.check(frame["value"].tolist() == [cell(row["value"]) for row in broken], "pandas: values of the breakdown")
        self.check(frame["entered"].tolist() == [row["entered"] for row in broken], "pandas: entered of the breakdown")
        users = f"http://{self.address}/v1/funnels/nasty/users?step=1&{SPAN}"
        ids = json.loads(self.ask("GET", users.removeprefix(f"http://{self.address}"))[1])["users"]
        frame = pandas.read_csv(users + "&format=csv&raw=1", dtype=str, keep_default_na=False, storage_options=key)
        self.check(frame["user_id"].tolist() == ids, "pandas: users")
        curl = ["curl", "-sSf", "-H", f"Authorization: Bearer {KEYS['read']}"]
        saved = os.path.join(directory, "users.csv")
        subprocess.run([*curl, "-o", saved, users + "&format=csv&raw=1"], check=True)
        query = "SELECT user_id FROM read_csv($1, header=true, all_varchar=true, quote='\"', escape='\"', delim=',')"
        found = [row[0] for row in duckdb.execute(query, [saved]).fetchall()]
        self.check(found == ids, f"DuckDB, saved CSV: {len(found)} of {len(ids)}")
        trend = self.json("/v1/funnels/nasty/report?" + SPAN + "&trend=day")["trend"]["buckets"]
        wanted = f"({len(trend)}, {sum(bucket['entered'] for bucket in trend)})"
        for form, reader in (("csv", "read_csv"), ("ndjson", "read_ndjson")):
            told = subprocess.run([*curl, f"{url}&trend=day".replace("=csv", f"={form}")], check=True, stdout=subprocess.PIPE).stdout
            pipe = subprocess.run([sys.executable, "-c", PIPED.format(reader)], input=told, capture_output=True)
            self.check(pipe.stdout.decode().strip() == wanted, f"DuckDB, {form} by a pipe: {pipe.stdout}{pipe.stderr}, expected {wanted}")

    def lists(self):
        """50,000 users in every format are those of the pages."""
        path, pages, after = f"/v1/funnels/many/users?step=1&as_of={AS_OF}", [], ""
        body = {"funnel_id": "many", "as_of": AS_OF, "step": 1, "limit": 7_001}
        while True:
            page = self.json("/v1/query/users", {**body, "after": after} if after else body)
            pages += page["users"]
            after = page["next"]
            if after is None:
                break
        self.check(len(pages) == USERS and pages == sorted(set(pages)), f"{len(pages)} users on pages")
        rows = [row["user_id"] for row in self.table(path)]
        self.check(rows == pages, f"{len(rows)} users of CSV, {len(pages)} on pages")
        told = self.json(path)
        self.check(told["users"] == pages and told["next"] is None and told["as_of"] == AS_OF, "the whole list as JSON")
        self.check(set(told) == set(page), f"members {set(told)}")
        part = self.json(path + "&limit=25000")
        self.check(part["users"] == pages[:25_000] and part["next"] == pages[24_999], "limit of several pages")
        rest = self.json(f"{path}&after={urllib.parse.quote(part['next'])}")
        self.check(part["users"] + rest["users"] == pages, "a list that goes on")
        body = {"funnel_id": "many", "as_of": AS_OF, "step": 1}
        self.check([row["user_id"] for row in self.table("/v1/query/users", body)] == pages, "POST with format=csv")
        self.check(len(self.table("/v1/query/users", {**body, "limit": 10})) == 10, "POST with format=csv and a limit")
        nobody = "/v1/funnels/many/users?step=2&outcome=dropped&start=1990-01-01&end=1990-01-02&as_of=" + AS_OF
        self.check(self.table(nobody) == [] and self.ask("GET", nobody + "&format=csv")[1] == "user_id\r\n", "a list of nobody")

    def unread(self):
        """The list of a caller who does not read stops on the way; if a shard is then missing, it breaks off."""
        host, port = self.address.rsplit(":", 1)
        reader = socket.socket()
        reader.settimeout(60)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        reader.connect((host, int(port)))
        lines = ["GET /v1/funnels/many/users?step=1&format=csv&deadline=2s HTTP/1.1", f"Host: {self.address}"]
        request = "\r\n".join([*lines, f"Authorization: Bearer {KEYS['read']}", "", ""])
        before = self.queries()
        reader.sendall(request.encode())
        asked, since = -1, time.monotonic()
        while asked != self.queries() or time.monotonic() - since < 2:
            if asked != self.queries():
                asked, since = self.queries(), time.monotonic()
            time.sleep(0.2)
        pages = asked - before
        self.check(1 <= pages < 5, f"{pages} pages were asked for, and nobody read")
        shard = self.cluster.info["pids"]["shard-1"]
        os.kill(shard, signal.SIGSTOP)
        try:
            answer = http.client.HTTPResponse(reader)
            answer.begin()
            try:
                text = answer.read()
                self.check(False, f"a list without a shard ended well after {len(text)} bytes")
            except (http.client.IncompleteRead, ConnectionError) as error:
                self.check(answer.status == 200, f"{answer.status}: {error!r}")
        finally:
            os.kill(shard, signal.SIGCONT)
            reader.close()
        end = time.monotonic() + 60
        while exchange(self.address, "GET", "/readyz")[2].strip() != "ready" and time.monotonic() < end:
            time.sleep(0.1)

    def queries(self):
        _, _, text = exchange(self.address, "GET", "/metrics")
        lines = [line for line in text.split("\n") if line.startswith("sluice_queries_total{")]
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)

    def keys(self):
        for path in ("report?format=csv", "users?step=1&format=csv", "users?step=1", "times?format=ndjson"):
            path = "/v1/funnels/nasty/" + path
            self.ask("GET", path, key=None, status=401)
            self.ask("GET", path, key=KEYS["write"], status=403)
            _, text = self.ask("GET", path, key=OTHER, status=404)
            self.check("unknown_funnel" in text, f"{path}: {text:.200}")
            self.ask("GET", f"{path}&key={KEYS['read']}", key=None, status=401)


def cell(value):
    """A value of JSON as a cell of CSV."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def events():
    """Users with nasty ids and values, then many who did the first step."""
    for i, value in enumerate([*nasty(), -7, 7, 1.5, True, None]):
        user = f"=user-{i:02}" if i < 50 else f"{nasty()[i - 50]}#{i}"
        more = {"timestamp": f"2026-01-{1 + i % 5:02}T15:00:00Z", "properties": {} if value is None else {"value": value}}
        for step, name in enumerate(STEPS[: 1 + i % 3]):
            yield {"user_id": user, "event": name, **more, "timestamp": more["timestamp"].replace("T15", f"T1{step}")}
        yield {"user_id": user, "event": "@Help", **more}
    for i in range(USERS):
        yield {"user_id": f"{'m' * 400}-{i:05}", "event": "Many", "timestamp": "2026-01-01T00:00:00Z"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=os.environ.get("SLUICE_PROGRAMS", ".build/release"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-tables-") as directory:
        with Cluster(given.programs, directory, environment=ENVIRONMENT) as cluster:
            path = os.path.join(directory, "events.ndjson")
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events())
            subprocess.run(
                [cluster.sluice, "load", "--to", cluster.info["ingest"]["wire"], path], check=True, stdout=subprocess.DEVNULL,
                env={**os.environ, "SLUICE_KEY": KEYS["write"]}, timeout=300)
            run = Run(cluster)
            for funnel, steps in (("nasty", STEPS), ("many", ["Many", "Never"])):
                run.ask("PUT", f"/v1/funnels/{funnel}", {"steps": steps, "window_duration": "30d"}, KEYS["admin"], 201)
            for part in (run.funnel, run.guarded, run.separate, lambda: run.readers(directory), run.lists, run.keys, run.unread):
                part()
    print(f"{run.checked:,} checks, {run.failed} failed")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
