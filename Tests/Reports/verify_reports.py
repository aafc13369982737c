"""Every report's numbers over two real logs: a cluster's answers against our own computation.

    Tests/Reports/python.sh Tests/Reports/verify_reports.py --programs .build/release --logs DIRECTORY

Ours is written from Protocol/FUNNEL.md alone: SQL of DuckDB, plain loops where rules need a search, scipy and statsmodels.
Every answer is also validated against Protocol/openapi.yaml.
Exit status 0 where all is equal or the logs are not there, 1 on any difference.
"""

import argparse
import os
import sys
import tempfile
import time

import behaviour
import cases
import comparisons
import eventlog
import people
import reports
import vectors
from cluster import Cluster, Refused, Unsupported
from compare import Checks
from contract import Contract

PARTS = ("funnels", "rules", "rows", "lists", "people", "behaviour", "discovery", "comparisons")


class Run:
    def __init__(self, checks, con, cluster):
        self.checks, self.con, self.cluster = checks, con, cluster

    def check(self, name, ask, compute):
        """`ask` gives the cluster's answer, `compute` ours; in this order, since what is not there need not be computed."""
        try:
            answer = ask()
        except Unsupported as lack:
            self.checks.lacks(name, lack)
        except Refused as error:
            self.checks.compare(name, "an answer", str(error))
        else:
            self.checks.compare(name, compute(), answer)

    def query(self, title, body, compute, path="/v1/query", shape=lambda answer: answer):
        self.check(title, lambda: shape(self.cluster.ask(path, body)), compute)

    def whole(self, body):
        """The answer of our own, over a query's cohort where it has one."""
        users = comparisons.cohort(self.con, body["cohort"], cases.SAVED) if "cohort" in body else None
        found = reports.whole(self.con, body, users)
        if body["funnel"].get("conversion_order") == "any":
            found["order"] = "any"
        if "breakdown" in body:
            found["breakdown"] = reports.breakdown(self.con, body)
        if "trend" in body:
            found["trend"] = reports.trend(self.con, body, users)
        if "variants" in body:
            found["variants"] = comparisons.experiment(self.con, body)
        return found

    def ids(self, body):
        """Whole lists by pages of odd sizes."""
        found, body = [], body | {"limit": 997}
        while True:
            answer = self.cluster.ask("/v1/query/users", body)
            found += answer["users"]
            if answer["next"] is None or len(answer["users"]) < 997:
                return found
            body["after"] = answer["next"]

    def funnels(self):
        for name, body in cases.PLAIN:
            self.query(f"funnel: {name}", body, lambda: self.whole(body))

    def rules(self):
        for name, body in cases.RULES + cases.COUNTED:
            self.query(f"rules: {name}", body, lambda: self.whole(body))

    def rows(self):
        for name, body in cases.BREAKDOWNS:
            self.query(f"breakdown: {name}", body, lambda: self.whole(body))
        for name, body in cases.TRENDS:
            self.query(f"trend: {name}", body, lambda: self.whole(body), shape=reports.with_instants)

    def lists(self):
        con = self.con
        for name, body, wanted in cases.LISTS:
            self.whole(body)
            for step, outcome in wanted:
                self.check(f"list: {name}: {outcome} {step}", lambda: self.ids(body | {"step": step, "outcome": outcome}),
                           lambda: reports.users(con, body, step, outcome))
        for name, body in cases.GROUPS:
            self.check(f"list: {name}", lambda: self.ids(body), lambda: reports.group_users(con, body))

    def people(self):
        con = self.con
        for name, body in cases.TIMES:
            self.query(f"times: {name}", body, lambda: people.times(con, body), path="/v1/query/times", shape=people.with_sums)
        for name, body in cases.EXPLAINED:
            def answers():
                return [people.explain_with_instants(self.cluster.ask("/v1/query/explain", body | {"user_id": user})) for user in users]

            def ours():
                reports.whole(con, body)
                return [people.explain(con, body, user, eventlog.PROPERTIES) for user in users]

            users = [u for u, in con.execute("SELECT DISTINCT user_id FROM events ORDER BY user_id").fetchall()][::101]
            self.check(f"explain: {name}: {len(users)} users", answers, ours)

    def behaviour(self):
        con = self.con
        for name, body in cases.PATHS:
            self.query(f"paths: {name}", body, lambda: behaviour.paths(con, body), path="/v1/query/paths")
        for name, body in cases.PREDICTORS:
            self.query(f"predictors: {name}", body, lambda: behaviour.predictors(con, body, eventlog.PROPERTIES), path="/v1/query/predictors")

    def comparisons(self):
        con = self.con

        def segments(body):
            found = {"segments": comparisons.segments(con, body, cases.SAVED)}
            return self.whole(body) | found

        for name, body in cases.COHORTS:
            self.query(f"cohort: {name}", body, lambda: self.whole(body))
        for name, body in cases.SEGMENTS:
            self.query(f"segments: {name}", body, lambda: segments(body), shape=reports.with_instants)
        for name, body in cases.PERIODS:
            self.query(f"compare: {name}", body, lambda: reports.whole(con, body) | comparisons.previous_period(con, body),
                       shape=comparisons.with_instants)
        for name, body in cases.EXPERIMENTS:
            self.query(f"variants: {name}", body, lambda: self.whole(body),
                       shape=comparisons.with_groups_by_value)
        for name, body in cases.PAIRS:
            self.query(f"variants: {name}", body, lambda: comparisons.two_funnels(con, body))

    def discovery(self):
        con, get = self.con, self.cluster.get
        for asked in ({}, {"prefix": "A_"}, {"prefix": "W_Nabellen", "limit": 3}):
            self.check(f"events {asked}", lambda: people.events_with_instants(get("/v1/events", **asked)), lambda: people.events(con, **asked))
        for asked in ({}, {"event": "Assigned"}, {"event": "A_SUBMITTED"}):
            self.check(f"properties {asked}", lambda: get("/v1/properties", **asked), lambda: people.properties(con, eventlog.PROPERTIES, **asked))
        for name, asked in (("resource", {}), ("amount_req", {"limit": 10_000}), ("org_group", {"event": "Admission NC"}), ("mixed", {}),
                            ("mixed", {"prefix": "1"}), ("level", {"prefix": "t", "limit": 1}), ("tier", {})):
            self.check(f"values of {name} {asked}", lambda: get(f"/v1/properties/{name}/values", **asked), lambda: people.values(con, name, **asked))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=os.environ.get("SLUICE_PROGRAMS", ".build/release"))
    parser.add_argument("--logs", default=os.environ.get("SLUICE_LOGS"), help="directory with " + " and ".join(eventlog.NAMES))
    parser.add_argument("--only", nargs="*", choices=PARTS, help="these parts alone")
    given = parser.parse_args()
    absent = [path for path in eventlog.paths(given.logs or "") if not os.path.exists(path)]
    if absent:
        print(f"verify-reports: skipped, no {' and no '.join(absent)}: name their directory with --logs or SLUICE_LOGS")
        return 0
    began, checks, contract = time.monotonic(), Checks(), Contract()
    with tempfile.TemporaryDirectory(prefix="sluice-verify-") as directory:
        own = os.path.join(directory, "own.ndjson")
        eventlog.write_own_events(given.logs, own)
        vectors.run(checks)
        con = eventlog.connect(given.logs, own)
        with Cluster(given.programs, directory, contract=contract) as cluster:
            cluster.load(eventlog.paths(given.logs) + [own])
            for definition in cases.SAVED.values():
                cluster.save(definition)
            run = Run(checks, con, cluster)
            for part in given.only or PARTS:
                getattr(run, part)()
    print(contract.summary())
    print(f"{checks.summary()}; {time.monotonic() - began:.0f} s")
    return 1 if checks.failed or contract.failed else 0


if __name__ == "__main__":
    sys.exit(main())
