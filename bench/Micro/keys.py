#!/usr/bin/env python3
"""Writes the sorted keys of a funnel's steps for kernel.c.

    keys.py --events 1000000 --out f4.keys
    cc -O3 -std=c11 -o kernel kernel.c && ./kernel f4.keys 86400000 20

The file, little-endian: u64 number of steps, u64 number of keys of each step, then the keys of each step, ascending.
A key is the place of the user among all users << 33, plus milliseconds from the start of the month.
"""

import argparse
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import generate  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=generate.SEED)
    parser.add_argument("--steps", default="view_product,add_to_cart,begin_checkout,purchase")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    steps = [generate.NAMES.index(name) for name in options.steps.split(",")]
    found = [[] for _ in steps]
    for number, part in enumerate(generate.slices(options.events, options.seed), 1):
        key = (part["user"].astype(np.uint64) << np.uint64(33)) + (part["ts"] - generate.START_MS).astype(np.uint64)
        for place, step in enumerate(steps):
            found[place].append(key[part["event"] == step])
        print(f"slice {number} of {generate.slice_count(options.events)}", file=sys.stderr, flush=True)
    keys = [np.sort(np.concatenate(parts)) for parts in found]
    with open(options.out, "wb") as file:
        np.array([len(keys), *map(len, keys)], "<u8").tofile(file)
        for run in keys:
            run.astype("<u8").tofile(file)


if __name__ == "__main__":
    main()
