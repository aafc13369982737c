#!/usr/bin/env python3
"""Sends what no client should to every port of a running cluster, and checks that nothing of it does harm.

    python3 malformed.py INFO_FILE [--count 1000] [--seed 1] [--bound-mib 64] [--only N] [--verbose]

Attack N of a seed is always the same: `--only N` repeats one. After a warm-up of 200 attacks (other ones, and
the largest) the memory of each process is read, after the last attack again. `sluice up` starts services
that died; therefore the process ids count.
"""

import argparse
import collections
import json
import random
import sys
import time

from errors import SluiceError
from malformed_attacks import Attacks
from malformed_calls import PATIENCE, Bad, Hang, http1, request_head
from processes import alive, handles, resident
from sluice_client import Client

WARM_UP = 200

passed = failed = 0


def check(what, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED {what}: {detail}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("info")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--bound-mib", type=float, default=64)
    parser.add_argument("--only", type=int, help="send only attack N")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    with open(options.info, encoding="utf-8") as file:
        info = json.load(file)
    pids, attacks = info["pids"], Attacks(info)
    token = f"{options.seed}-{random.SystemRandom().getrandbits(32):x}"

    # the funnel that must not change: 3 users, 2 of them convert, after 10 and 20 seconds
    one, two, at = f"watched 1 {token}", f"watched 2 {token}", 1_710_892_800_000_000
    rows = [{"user": f"watched-{token}-{n}", "event": one, "microseconds": at, "id": f"{n}"} for n in range(3)]
    rows += [{"user": f"watched-{token}-{n}", "event": two, "microseconds": at + n * 10_000_000, "id": f"b{n}"}
             for n in (1, 2)]
    with Client(info["ingest"]["wire"]) as client:
        check("the watched funnel is stored", client.append(rows)["accepted"] == 5)

    def watched():
        with Client(info["coordinator"]["wire"]) as client:
            report = client.query({"funnel": {"steps": [one, two]}, "as_of": "2024-04-01T00:00:00Z"})
        return [step["count"] for step in report["steps"]], report["steps"][1]["average_seconds"]

    check("the watched funnel's numbers", watched() == ([3, 2], 15), watched())
    outcomes, slowest, dead = collections.Counter(), [], set()
    seen = collections.defaultdict(collections.Counter)

    def attack(number, seed):
        began = time.monotonic()
        name = attacks.name(number, seed)
        try:
            _, outcome = attacks.run(number, seed)
        except (Hang, Bad) as error:
            check(f"attack {number} of seed {seed} ({name})", False, f"{type(error).__name__}: {error}")
            outcome = type(error).__name__
        except (SluiceError, OSError) as error:
            check(f"attack {number} of seed {seed} ({name})", False, f"cannot connect: {error}")
            outcome = "no connection"
        outcomes[outcome] += 1
        seen[name][outcome] += 1
        slowest.append((time.monotonic() - began, number, seed, name, outcome))
        if options.verbose:
            print(f"{number} {name}: {outcome} ({time.monotonic() - began:.2f} s)", flush=True)
        for service, pid in pids.items():
            if service not in dead and not alive(pid):
                dead.add(service)
                check(f"{service} after attack {number} of seed {seed} ({name})", False, f"process {pid} is gone")

    if options.only is not None:
        attack(options.only, options.seed)
    else:
        for number in range(min(WARM_UP, options.count)):
            attack(number, f"{options.seed}/warm-up")
        for number in range(30):  # the allocators keep what the largest requests took: all of that is warm-up
            attack(number, f"{options.seed}/warm-up=gzip_bomb")
            attack(number, f"{options.seed}/warm-up=largest_bodies")
        time.sleep(2)
        before = {service: (resident(pid), handles(pid)) for service, pid in pids.items()}
        for number in range(options.count):
            attack(number, options.seed)
            if number % 250 == 249:
                check(f"the watched funnel after {number + 1}", watched() == ([3, 2], 15), watched())
        time.sleep(3)
        after = {service: (resident(pid), handles(pid)) for service, pid in pids.items()}

    for service, pid in pids.items():
        check(f"{service}: process {pid}", alive(pid), "is gone")
    with open(options.info, encoding="utf-8") as file:
        check("the process ids of the info file", json.load(file)["pids"] == pids)
    for role, address in attacks.wires:
        try:
            with Client(address, timeout=PATIENCE) as client:
                health = client.health()
                check(f"{role} {address}: health", health["role"] == role and health["ready"], health)
        except SluiceError as error:
            check(f"{role} {address}: health", False, error)
    for address in [a for _, a in attacks.https] + attacks.shard_https:
        try:
            outcome = http1(address, request_head("GET", "/healthz", None, "text/plain"))
        except (Hang, Bad, OSError) as error:
            outcome = error
        check(f"{address}: /healthz", outcome == "http status 200", outcome)
    try:
        check("the watched funnel at the end", watched() == ([3, 2], 15), watched())
    except SluiceError as error:
        check("the watched funnel at the end", False, error)

    if options.only is None:
        print("resident memory, MiB; open files")
        for service in pids:
            (old, files), (new, files_now) = before[service], after[service]
            if old is None or new is None:
                check(f"{service}: memory", False, "cannot be read")
                continue
            print(f"  {service:12} {old:8.1f} -> {new:8.1f}  ({new - old:+.1f})   {files} -> {files_now}")
            check(f"{service}: memory", new - old < options.bound_mib, f"grew by {new - old:.1f} MiB")
            check(f"{service}: open files", files_now - files < 20, f"{files} -> {files_now}")
    print("outcomes:", ", ".join(f"{name} {count}" for name, count in outcomes.most_common()))
    if options.verbose:
        for name, counter in sorted(seen.items()):
            print(f"  {name}: {dict(counter)}")
    print("slowest:", "; ".join(f"{s:.1f} s {name} ({outcome})" for s, _, _, name, outcome in sorted(slowest)[:-6:-1]))
    check("no crash and no hang", not dead and not outcomes["Hang"], dead)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
