"""Samples of real processes as input for `promtool test rules`."""

import json
import os
import re
import subprocess
import tempfile
import time

RULES = os.path.join(os.path.dirname(__file__), "../../deploy/prometheus/sluice.rules.yaml")
STEP = 60  # seconds of the rules' clock between two scrapes
LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")


def parse(text):
    """Samples of an exposition: {(name, labels as written): value}."""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        match = LINE.match(line)
        if not match:
            raise ValueError(f"no sample: {line}")
        samples[match[1], match[2] or ""] = float(match[3])
    return samples


class Story:
    """What Prometheus would have stored: one column for each time at which all targets were scraped."""

    def __init__(self):
        self.columns = []  # (wall time, {series: value})

    def scrape(self, targets):
        """Takes what each target says now. One that does not answer is down."""
        column = {}
        for target in targets:
            labels = f'job="{target.job}",instance="{target.name}"'
            text = target.metrics()
            column[f"up{{{labels}}}"] = 1.0 if text is not None else 0.0
            for (name, own), value in parse(text or "").items():
                column[f"{name}{{{labels}{',' + own if own else ''}}}"] = value
        self.columns.append((time.time(), column))

    def series(self, lead, tail):
        """As `input_series`: the first scrape stands for `lead` steps before, the last for `tail` after.

        The rules' clock begins at 0, so values that are points in time are moved by as much.
        """
        columns = [self.columns[0]] * lead + self.columns + [self.columns[-1]] * tail
        names = {name for _, column in columns for name in column}
        result = []
        for name in sorted(names):
            values = []
            for i, (wall, column) in enumerate(columns):
                value = column.get(name)
                if value is not None and name.split("{")[0].endswith("_expiry_timestamp_seconds"):
                    value = value - wall + i * STEP
                values.append("_" if value is None else repr(value).replace("nan", "NaN").replace("inf", "Inf"))
            result.append({"series": name, "values": " ".join(values)})
        return result, (len(columns) - 1) * STEP


def firing(story, lead=30, tail=6):
    """Names of the alerts that fire at the end of the story, and at any earlier step since its beginning."""
    series, end = story.series(lead, tail)
    first = lead * STEP
    seen = set()
    # The expected samples are empty, so that promtool tells those that it got.
    tests = {
        "rule_files": [os.path.abspath(RULES)], "evaluation_interval": "15s",
        "tests": [{
            "interval": f"{STEP}s", "input_series": series,
            "promql_expr_test": [
                {"expr": 'group by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{at}s", "exp_samples": []}
                for at in range(first, end + 1, STEP)
            ],
        }],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(tests, file)  # JSON is YAML
        file.flush()
        done = subprocess.run(["promtool", "test", "rules", file.name], capture_output=True, text=True)
    for found in re.findall(r'alertname=\\*"(\w+)', done.stdout + done.stderr):
        seen.add(found)
    if done.returncode != 0 and not seen:
        raise RuntimeError(f"promtool: {done.stdout}{done.stderr}")
    return seen
