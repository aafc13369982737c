#!/usr/bin/env python3
"""Attacks and faults, each on a real cluster of its own with honest callers beside it; prints a table at the end.

    run.sh                           every attempt at the findings' sizes (about two hours)
    run.sh --size short              smaller, for every day (about twenty minutes)
    run.sh --only S1,S4 --out DIR    some of them; DIR gets table.md and table.json

The programs are those of SLUICE_PROGRAMS, or .build/release. An attempt passes if honest queries and appends keep their p99
below the larger of 100 ms and three times what it was just before, everything acknowledged is counted once, no member dies, and
what the attempt itself checks is so. The exit status is 1 where one fails that is not `awaited`.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time

import attacks_edge_http1  # noqa: F401: each module registers its attempts
import attacks_edge_http2  # noqa: F401
import attacks_floods  # noqa: F401
import attacks_queries  # noqa: F401
import attacks_readers  # noqa: F401
import attacks_slow  # noqa: F401
import attacks_writes  # noqa: F401
import faults_cluster  # noqa: F401
import faults_store  # noqa: F401
from case import ATTEMPTS, Case
from servers import note


def key_of(name):
    """S2 before S10; S, then E, B, X."""
    letters = name.rstrip("abc")
    return ("SEBX".index(letters[0]), int(letters[1:]), name)


def figures(result, kind):
    quiet, during = (result["quiet"] or {}).get(kind), (result["during"] or {}).get(kind)
    if not quiet:
        return "–"
    return f"{quiet['p99']:.0f} → {during['p99']:.0f}" if during else f"{quiet['p99']:.0f} → none"


def memory(result, phase):
    of = result["memory_mib"].get(phase)
    if not of:
        return "–"
    shards = [value for name, value in of.items() if name.startswith("shard")]
    return f"{of.get('ingest', 0)} / {max(shards, default=0)} / {of.get('coordinator', 0)}"


def table(results, size):
    lines = [f"Attacks and faults, size {size}. p99 in ms, quiet → during; memory in MiB: ingest / largest shard / coordinator.",
             f"Load of the machine before each: {', '.join(str(result['load_before']) for result in results)}; cores: {os.cpu_count()}.", "",
             "| attempt | | verdict | query p99 | append p99 | wire query p99 | memory before | peak | after | outcome |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for result in results:
        words = list(result["outcome"])
        words += [f"**{check['what']}**: {check['detail']}" for check in result["checks"] if not check["good"]]
        text = "; ".join(words).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {result['name']} | {result['title']} | {result['verdict']} | {figures(result, 'query')} "
                     f"| {figures(result, 'append')} | {figures(result, 'wire')} | {memory(result, 'quiet')} "
                     f"| {memory(result, 'attack')} | {memory(result, 'end')} | {text} |")
    failed = [result["name"] for result in results if result["verdict"] == "FAIL"]
    lines += ["", f"{len(results)} attempts, {len(failed)} failed" + (": " + ", ".join(failed) if failed else "")]
    return "\n".join(lines) + "\n"


def leave(case):
    """The clusters of an attempt that is broken off end with it."""
    for cluster in case.clusters:
        cluster.stop(5)
    os._exit(130)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["full", "short"], default="full")
    parser.add_argument("--only", default="", help="names by commas: S1,B7")
    parser.add_argument("--out", help="folder for table.md and table.json")
    parser.add_argument("--after", type=float, help="seconds of rest before memory is read again (60; 3 with short)")
    parser.add_argument("--keep", action="store_true", help="leave the data directories and logs")
    parser.add_argument("--list", action="store_true", help="names and titles, and nothing else")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name]
    attempts = sorted(ATTEMPTS, key=lambda one: key_of(one[0]))
    if options.list:
        for name, title, awaited, _ in attempts:
            print(f"{name:5} {title}" + (f" (awaited: {awaited})" if awaited else ""))
        return 0
    if unknown := set(wanted) - {one[0] for one in attempts}:
        parser.error(f"no such attempt: {', '.join(sorted(unknown))}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder, results = tempfile.mkdtemp(prefix="sluice-hostile-"), []
    for name, title, awaited, function in attempts:
        if wanted and name not in wanted:
            continue
        note(f"{name}: {title}")
        case = Case(name, title, awaited, function, options, os.path.join(folder, name))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: leave(case))
        case.run()
        results.append(case.result())
        note(f"{name}: {results[-1]['verdict']} after {results[-1]['seconds']} s")
        if options.out:
            # Written after each, so that a run that is broken off leaves what it saw.
            os.makedirs(options.out, exist_ok=True)
            document = {"size": options.size, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "attempts": results}
            with open(os.path.join(options.out, "table.json"), "w") as file:
                json.dump(document, file, indent=1, ensure_ascii=False)
            with open(os.path.join(options.out, "table.md"), "w") as file:
                file.write(table(results, options.size))
    if not options.keep:
        os.rmdir(folder)
    sys.stdout.write(table(results, options.size))
    return 1 if any(result["verdict"] == "FAIL" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
