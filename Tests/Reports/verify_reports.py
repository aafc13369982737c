"""Every report's numbers over two real logs: a cluster's answers against our own computation.

    Tests/Reports/python.sh Tests/Reports/verify_reports.py --programs .build/release --logs DIRECTORY

Ours is written from Protocol/FUNNEL.md alone: SQL of DuckDB, plain loops where rules need a search, scipy and statsmodels.
Exit status 0 where all is equal or the logs are not there, 1 on any difference.
"""

import argparse
import os
import sys
import tempfile
import time

import cases
import eventlog
import reports
import vectors
from cluster import Cluster, Refused, Unsupported
from compare import Checks


class Run:
    def __init__(self, checks, con, cluster):
        self.checks, self.con, self.cluster = checks, con, cluster

    def check(self, name, ask, compute):
        """`ask` gives the cluster's answer, `compute` ours; in this order, since what is not there need not be computed."""
        try:
            answer = ask()
        except Unsupported as lack:
            self.checks.lacks(name, lack)
            return None
        except Refused as error:
            self.checks.compare(f"{name}: {error}", "an answer", "an error")
            return None
        self.checks.compare(name, compute(), answer)
        return answer

    def query(self, title, body, compute, path="/v1/query", shape=lambda answer: answer):
        self.check(title, lambda: shape(self.cluster.ask(path, body)), compute)

    def lists(self, name, body, wanted):
        """Whole lists by pages of odd sizes, and their lengths as the report shows them."""
        def ids(step, outcome):
            found, page = [], {"step": step, "outcome": outcome, "limit": 997}
            while True:
                answer = self.cluster.ask("/v1/query/users", body | page)
                found += answer["users"]
                if answer["next"] is None or len(answer["users"]) < 997:
                    return found
                page["after"] = answer["next"]

        reports.whole(self.con, body)
        for step, outcome in wanted:
            self.check(f"list: {name}: {outcome} {step}", lambda: ids(step, outcome), lambda: reports.users(self.con, body, step, outcome))

    def all(self):
        con = self.con
        for name, body in cases.PLAIN:
            self.query(f"funnel: {name}", body, lambda: reports.whole(con, body))
        for name, body in cases.RULES + cases.COUNTED:
            self.query(f"rules: {name}", body, lambda: reports.whole(con, body))
        for name, body in cases.BREAKDOWNS:
            self.query(f"breakdown: {name}", body, lambda: reports.whole(con, body) | {"breakdown": reports.breakdown(con, body)})
        for name, body in cases.TRENDS:
            self.query(f"trend: {name}", body, lambda: reports.whole(con, body) | {"trend": reports.trend(con, body)},
                       shape=lambda answer: answer | {"trend": reports.with_instants(answer["trend"])})
        for name, body, wanted in cases.LISTS:
            self.lists(name, body, wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=os.environ.get("SLUICE_PROGRAMS", ".build/release"))
    parser.add_argument("--logs", default=os.environ.get("SLUICE_LOGS"), help="directory with " + " and ".join(eventlog.NAMES))
    given = parser.parse_args()
    absent = [path for path in eventlog.paths(given.logs or "") if not os.path.exists(path)]
    if absent:
        print(f"verify-reports: skipped, no {' and no '.join(absent)}: name their directory with --logs or SLUICE_LOGS")
        return 0
    began, checks = time.monotonic(), Checks()
    with tempfile.TemporaryDirectory(prefix="sluice-verify-") as directory:
        own = os.path.join(directory, "own.ndjson")
        eventlog.write_own_events(given.logs, own)
        vectors.run(checks)
        con = eventlog.connect(given.logs, own)
        with Cluster(given.programs, directory) as cluster:
            cluster.load(eventlog.paths(given.logs) + [own])
            Run(checks, con, cluster).all()
    print(f"{checks.summary()}; {time.monotonic() - began:.0f} s")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
