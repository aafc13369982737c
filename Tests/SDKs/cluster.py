"""A cluster of single programs, so that a shard can be killed and started again; a project and keys for each case."""

import json
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Processes"))

from members import Members, ask, clean_environment  # noqa: E402

PROJECTS = 250


def write_key(project):
    return f"write-key-of-project-{project}"


def read_key(project):
    return f"read-key-of-project-{project}"


def keys(key):
    return ",".join(f"{project}:{key(project)}" for project in range(1, PROJECTS + 1))


class Cluster(Members):
    """Two shards, a coordinator and an ingest on loopback."""

    def __init__(self, directory):
        super().__init__(directory, clean_environment() | {
            "SLUICE_CLUSTER_SECRET": "one-secret-for-all-the-services",
            "SLUICE_WRITE_KEYS": keys(write_key), "SLUICE_READ_KEYS": keys(read_key),
        })

    def __enter__(self):
        try:
            self.start_all(60)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def ended(self):
        """The programs that are not running any more, with the ends of their logs."""
        return [(name, self.log(name)[-1000:]) for name, process in self.processes.items() if process.poll() is not None]

    def counts(self, project, funnel):
        """The count of each step."""
        return [step["count"] for step in self._ask(project, "/v1/query", {"funnel": funnel})["steps"]]

    def users(self, project, step):
        """The users with an event of the step."""
        return set(self._ask(project, "/v1/query/users", {"funnel": {"steps": [step]}, "step": 1, "limit": 10_000})["users"])

    def _ask(self, project, path, query):
        status, text, _ = ask(
            self.coordinator, path, query, read_key(project), headers={"Content-Type": "application/json"}, timeout=60)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {text[:500]}")
        return json.loads(text)
