"""Two versions of Sluice in turns: `--against DIR` names the programs of the other one.

Both clusters run at once over the same events; one is asked while the other is idle, and both must answer alike. Loads are into
fresh clusters.
"""

import contextlib
import os
import statistics

import cases
import loading
import phases
import queries
from cluster import Cluster

LOADED = 2_000_000


class Fresh(Cluster):
    """A cluster of some programs, with the segment size of `bench.fresh_cluster`."""

    def __init__(self, bench, programs, name, events):
        super().__init__(programs, os.path.join(bench.work, name), seal_rows=phases.seal_rows(events))


def measure(bench):
    """Loads, queries, memory and disk by program; None without --against."""
    if not bench.options.against:
        bench.say("versions: no --against, nothing to compare with")
        return None
    programs = {"this": bench.programs, "against": bench.options.against}
    found = {name: {"load": [], "queries": {case.name: [] for case in cases.CASES}} for name in programs}
    for number in range(bench.rounds):
        for name, directory in turned(programs, number):
            with Fresh(bench, directory, f"versions-load-{name}-{number}", LOADED) as running:
                events = min(LOADED, bench.events)
                found[name]["load"].append(loading.fill(running, events, bench.seed, lambda _: None, ids=True).rate)
                bench.say(f"versions: {name}: {found[name]['load'][-1]:,.0f} events/s")
    with contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(Fresh(bench, directory, f"versions-{name}", bench.events))
            for name, directory in programs.items()
        }
        for name, cluster in running.items():
            bench.say(f"versions: {name}: loading {bench.events:,} events")
            loading.fill(cluster, bench.events, bench.seed, bench.say)
        bench.say(f"versions: idle for {bench.idle} s")
        for name, cluster in running.items():
            found[name]["state"] = cluster.settle(bench.idle / len(running))
        ask(bench, {name: queries.Sluice(cluster) for name, cluster in running.items()}, found)
        for name, cluster in running.items():
            found[name]["bytes"] = sum(cluster.sizes().values())
            found[name]["resident"] = sum(cluster.resident())
    return found


def turned(programs, number):
    """The other program first every other time."""
    return list(programs.items())[:: -1 if number % 2 else 1]


def ask(bench, engines, found):
    """Each case many times, by turns; the first round warms up."""
    repeats = 4
    for number in range(-1, bench.rounds):
        bench.say(f"versions: {'warm-up' if number < 0 else f'round {number + 1} of {bench.rounds}'}")
        for case in cases.CASES:
            answers = {}
            for repeat in range(repeats):
                for name, engine in turned(engines, repeat + number):
                    elapsed, answers[name] = engine.ask(case)
                    if number >= 0:
                        found[name]["queries"][case.name].append(elapsed)
            queries.check(case, "this build", answers["this"], answers["against"])


def rows(found):
    """(what, this build, the other, ratio) for the report: medians."""
    this, other = found["this"], found["against"]
    yield "events/s of a load with ids", *pair(this["load"], other["load"])
    for case in cases.CASES:
        yield f"{case.rule}, ms", *pair(this["queries"][case.name], other["queries"][case.name])
    yield "bytes on disk", *pair([this["bytes"]], [other["bytes"]])
    yield "memory of shards after the queries, bytes", *pair([this["resident"]], [other["resident"]])


def pair(this, other):
    this, other = statistics.median(this), statistics.median(other)
    return this, other, this / other
