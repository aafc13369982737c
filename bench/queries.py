"""Queries side by side: every engine, every case, round by round, and the counts must agree."""

import json
import statistics
import time

import cases
import cluster
import peers


class Disagreement(SystemExit):
    """Two engines counted differently. A benchmark of a wrong answer is worth nothing, so the run ends."""


def check(case, engine, found, expected):
    """Ends the run, naming the case and both counts, unless they are equal."""
    if found == expected:
        return
    text = (
        f"COUNTS DIFFER in {case.name} ({case.rule})\n  {engine}: {cases.sums(found)}\n  chDB: {cases.sums(expected)}"
    )
    if isinstance(found, dict):
        keys = [key for key in {**expected, **found} if found.get(key) != expected.get(key)]
        text += "".join(f"\n  {key}: {found.get(key)} and {expected.get(key)}" for key in keys[:5])
    raise Disagreement(text)


class Sluice:
    """Sluice as an engine among the others: end to end over HTTP."""

    name = "Sluice"

    def __init__(self, running):
        self.asker = cluster.Asker(running.coordinator)
        self.refused = set()

    def close(self):
        self.asker.connection.close()

    def ask(self, case):
        """(milliseconds, counts), or None if this version does not have it."""
        if case.name in self.refused:
            return None
        body = json.dumps(cases.sluice_request(case)).encode()
        try:
            elapsed, answer = self.asker.ask(body)
        except cluster.Unsupported:
            self.refused.add(case.name)
            return None
        return elapsed, cases.sluice_result(case, answer)


def compare(sluice, engines, rounds, say, minutes=30):
    """{case: {(engine, layout, threads, form): [ms of each round]}}; one round before is not counted.

    The engines change places from round to round. chDB's answer in the same round is what others are held to.
    """
    times, asked, end = {case.name: {} for case in cases.CASES}, 0, time.monotonic() + minutes * 60
    for number in range(-1, rounds):
        if number > 0 and time.monotonic() > end:
            say(f"{minutes} minutes are over: {number} of {rounds} rounds were run")
            break
        say(f"queries: {'warm-up' if number < 0 else f'round {number + 1} of {rounds}'}")
        expected = {}
        for case in cases.CASES:
            runs = []
            if not case.peers_as:
                for engine in engines:
                    for (layout, threads, form), work in engine.variants(case).items():
                        runs.append((engine, (engine.name, layout, threads, form), work))
            runs.append((sluice, ("Sluice", "", 2, ""), None))
            turn = asked % len(runs)
            asked += 1
            found = []
            for engine, key, work in runs[turn:] + runs[:turn]:
                if engine is sluice:
                    answer = sluice.ask(case)
                    if answer is None:
                        continue
                    elapsed, result = answer
                else:
                    elapsed, given = peers.timed(work)
                    result = engine.result(case, given)
                found.append((key, result))
                if number >= 0:
                    times[case.name].setdefault(key, []).append(elapsed)
            if case.peers_as:
                expected[case.name] = expected[case.peers_as]
            else:
                expected[case.name] = next(result for key, result in found if key[0] == "chDB" and key[3] == "")
            for key, result in found:
                want = expected[case.name]
                if key[3] == "first-touch":
                    result, want = cases.sums(result), cases.sums(want)
                check(case, " ".join(str(part) for part in key if part), result, want)
    return times


def alone(sluice, rounds, say, expected=None):
    """{case: [ms]} of Sluice by itself, for a state that does not last; counts must repeat."""
    say(f"queries: Sluice alone, {rounds} rounds")
    times, first = {}, {}
    for number in range(-1, rounds):
        for case in cases.CASES:
            answer = sluice.ask(case)
            if answer is None:
                continue
            check(case, "Sluice", answer[1], first.setdefault(case.name, answer[1]))
            if number >= 0:
                times.setdefault(case.name, []).append(answer[0])
    return times


def summary(times):
    """min and median of milliseconds."""
    return {"min": min(times), "median": statistics.median(times)}


def fastest(rows, engine, threads=None):
    """(key, summary) of the fastest layout and form of an engine, by median; None if it was not run."""
    fitting = [
        (key, summary(ms)) for key, ms in rows.items() if key[0] == engine and (threads is None or key[2] == threads)
    ]
    return min(fitting, key=lambda item: item[1]["median"], default=None)


# name in the report, engine, threads (None: the only number it was run with)
PEERS = (("chdb2", "chDB", 2), ("chdb1", "chDB", 1), ("duckdb", "DuckDB", None), ("polars", "Polars", None))


def table(times):
    """Rows for the report: per case Sluice and the fastest of each peer, and ratios of medians."""
    found = []
    for case in cases.CASES:
        rows = times[case.name]
        others = times[case.peers_as] if case.peers_as else rows
        own = fastest(rows, "Sluice")
        row = {"case": case.name, "rule": case.rule, "sluice": own[1] if own else None}
        for label, engine, threads in PEERS:
            best = fastest(others, engine, threads)
            if best is None:
                continue
            key, ms = best
            row[label] = {**ms, "layout": key[1], "form": key[3]}
            if own:
                row[label]["ratio"] = ms["median"] / own[1]["median"]
                row[label]["ratio_of_min"] = ms["min"] / own[1]["min"]
        found.append(row)
    return found
