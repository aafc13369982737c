#!/usr/bin/env python3
"""Click-stream of a shop, from a seed: the data of every benchmark.

    generate.py --events 1000000 --out data                 Parquet parts, for the peers
    generate.py --events 1000000 --out data --ids           the same with a UUID per event
    generate.py --events 100000 --ndjson events.ndjson      bodies for Sluice's /v1/events

One user per 20 events; sessions of geometric length, mean 8; 30 event names, Zipf-distributed, over which visitors
walk the funnel page_view > view_product > add_to_cart > begin_checkout > add_payment > purchase as far as their
session intends. Times are milliseconds in June 2025 (UTC). One event in 100 has exactly the time of the event before
it in its session. Half of all sessions go to users by a power law, half to anybody.

The month is made in slices of whole days, so memory stays bounded: 30 slices of a day at most, 4 million events a slice
up to 120 million events. Every slice draws from all users, so a user's history spans slices, and the slices
one after the other are in order of arrival (a session that runs over midnight reaches a little into the next day; the
next slice begins at midnight, so those few events arrive out of order, as they do in life). The same events, seed and
version of numpy give the same data.
"""

import argparse
import os
import sys

import numpy as np

FUNNEL = ["page_view", "view_product", "add_to_cart", "begin_checkout", "add_payment", "purchase"]
NAMES = [
    "page_view",
    "view_product",
    "search",
    "scroll",
    "view_category",
    "add_to_cart",
    "open_app",
    "click_banner",
    "view_cart",
    "log_in",
    "begin_checkout",
    "apply_filter",
    "sort_list",
    "read_review",
    "play_video",
    "add_payment",
    "purchase",
    "log_out",
    "remove_from_cart",
    "save_for_later",
    "apply_coupon",
    "finish_video",
    "share",
    "compare",
    "open_help",
    "start_chat",
    "open_message",
    "write_review",
    "sign_up",
    "subscribe_news",
]
COUNTRIES = (
    "US IN BR DE GB FR JP ID MX CA IT ES TR KR AU NL PL AR SE ZA EG NG VN TH PH CO CL PE CZ GR PT RO HU AT CH BE DK NO "
    "FI IE NZ SG MY IL AE SA UA KZ PK MA"
).split()
DEVICES = ["mobile", "desktop", "tablet", "tv"]
START_MS = 1_748_736_000_000  # 2025-06-01T00:00:00Z
DAY_MS = 86_400_000
DAYS = 30
SLICE_EVENTS = 4_000_000
SEED = 7


def user_count(events):
    """Users that sessions are drawn from."""
    return max(10, events // 20)


def slice_count(events):
    """How many slices of whole days the month is made in."""
    return next(n for n in (1, 2, 3, 5, 6, 10, 15, 30) if events / n <= SLICE_EVENTS or n == 30)


def slices(events, seed=SEED):
    """The slices one after the other: a dict of arrays each, in order of time.

    user (u32), event, country, device (u8: places in the lists above), ts (i64, ms), price (f64), session (u64).
    """
    users = user_count(events)
    people = np.random.default_rng([seed, 0])
    shuffled = people.permutation(users).astype(np.uint32)
    weight = 1 / np.arange(1, len(COUNTRIES) + 1) ** 1.2
    home = people.choice(len(COUNTRIES), users, p=weight / weight.sum()).astype(np.uint8)
    count = slice_count(events)
    for number in range(count):
        size = events // count + (events % count if number == count - 1 else 0)
        yield _slice(np.random.default_rng([seed, 1, number]), size, DAYS // count, number, shuffled, home)


def _slice(rng, size, days, number, shuffled, home):
    lengths = rng.geometric(1 / 8, size // 8 + size // 200 + 400)
    ends = np.cumsum(lengths)
    sessions = int(np.searchsorted(ends, size)) + 1
    lengths, ends = lengths[:sessions], ends[:sessions]
    if ends[-1] < size:
        raise SystemExit("the sessions drawn do not reach the number of events; report this seed")
    lengths[-1] -= ends[-1] - size
    firsts = np.cumsum(lengths) - lengths
    of = np.repeat(np.arange(sessions), lengths)

    users = len(shuffled)
    crowd = rng.integers(0, users, sessions)
    regulars = (users * rng.random(sessions) ** 2.5).astype(np.int64)
    user = shuffled[np.where(rng.random(sessions) < 0.5, crowd, regulars)]
    country = np.where(rng.random(sessions) < 0.03, rng.integers(0, len(COUNTRIES), sessions), home[user]).astype(
        np.uint8
    )
    device = rng.choice(4, sessions, p=[0.58, 0.33, 0.07, 0.02]).astype(np.uint8)
    session = rng.integers(0, 1 << 63, sessions, dtype=np.uint64)

    # times: an hour of the day around three in the afternoon, then gaps of half a minute, one in a hundred of nothing
    start = rng.integers(number * days, (number + 1) * days, sessions) * DAY_MS
    start += (rng.normal(15, 5, sessions) % 24 * 3_600_000).astype(np.int64)
    gap = rng.exponential(30_000, size).astype(np.int64)
    gap[rng.random(size) < 0.01] = 0
    gap[firsts] = 0
    passed = np.cumsum(gap)
    offset = passed - passed[firsts][of]
    over = start + offset[firsts + lengths - 1] - (DAYS * DAY_MS - 1)
    ts = (start - np.maximum(over, 0))[of] + offset

    # names: by rank, or, for 45 in 100 events, the next step of the funnel as far as the session intends to go
    rank = 1 / np.arange(1, len(NAMES) + 1) ** 1.1
    event = rng.choice(len(NAMES), size, p=rank / rank.sum()).astype(np.uint8)
    walks = rng.random(size) < 0.45
    step = np.cumsum(walks)
    step -= (step[firsts] - walks[firsts])[of] + 1
    intent = rng.choice(6, sessions, p=[0.42, 0.28, 0.13, 0.07, 0.04, 0.06])
    place = np.array([NAMES.index(name) for name in FUNNEL], np.uint8)
    event[walks] = place[np.minimum(step, intent[of])[walks]]

    price = np.round(rng.lognormal(3, 1, size), 2)
    order = np.argsort(ts, kind="stable")
    of = of[order]
    return {
        "user": user[of],
        "event": event[order],
        "ts": ts[order] + START_MS,
        "country": country[of],
        "device": device[of],
        "price": price[order],
        "session": session[of],
    }


def hexadecimal(data):
    """Rows of bytes as rows of their hexadecimal characters."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.empty((len(data), data.shape[1] * 2), np.uint8)
    text[:, 0::2] = digits[data >> 4]
    text[:, 1::2] = digits[data & 15]
    return text


def session_texts(session):
    """Session numbers as 16 characters each."""
    return hexadecimal(session.astype(">u8").view(np.uint8).reshape(-1, 8)).view("S16").ravel()


def uuid_texts(count, seed, number):
    """Random UUIDs of version 4, 36 characters each; the same for the same seed and slice."""
    raw = np.random.default_rng([seed, 2, number]).integers(0, 256, (count, 16), np.uint8)
    raw[:, 6] = raw[:, 6] & 15 | 64
    raw[:, 8] = raw[:, 8] & 63 | 128
    digits = hexadecimal(raw)
    text = np.full((count, 36), ord("-"), np.uint8)
    for to, start, size in ((0, 0, 8), (9, 8, 4), (14, 12, 4), (19, 16, 4), (24, 20, 12)):
        text[:, to : to + size] = digits[:, start : start + size]
    return text.view("S36").ravel()


def fixed_strings(values):
    """An Arrow column of texts that all have the same length."""
    import pyarrow as pa

    width = values.dtype.itemsize
    offsets = np.arange(0, width * len(values) + 1, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(values.tobytes()))


def write_parquet(events, out, seed=SEED, ids=False, progress=None):
    """Writes part-NNN.parquet into `out`; gives their paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    os.makedirs(out, exist_ok=True)
    paths, done = [], 0
    for number, part in enumerate(slices(events, seed)):
        named = lambda codes, names: pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))
        columns = {
            "user": pa.array(part["user"]),
            "event": named(part["event"], NAMES),
            "ts": pa.array(part["ts"]),
            "country": named(part["country"], COUNTRIES),
            "device": named(part["device"], DEVICES),
            "price": pa.array(part["price"].astype(np.float32)),
            "session": fixed_strings(session_texts(part["session"])),
        }
        if ids:
            columns["id"] = fixed_strings(uuid_texts(len(part["ts"]), seed, number))
        paths.append(os.path.join(out, f"part-{number:03d}.parquet"))
        dictionaries = ["event", "country", "device", "session"]
        pq.write_table(
            pa.table(columns), paths[-1], compression="zstd", row_group_size=1_000_000, use_dictionary=dictionaries
        )
        done += len(part["ts"])
        if progress:
            progress(f"generated {done:,} of {events:,} events")
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--ids", action="store_true", help="a UUID for each event")
    parser.add_argument("--out", help="directory for Parquet parts")
    parser.add_argument("--ndjson", help="file for NDJSON, in order of arrival")
    options = parser.parse_args()
    if not (options.out or options.ndjson):
        parser.error("--out or --ndjson: what shall be written?")
    tell = lambda text: print(text, file=sys.stderr, flush=True)
    if options.out:
        write_parquet(options.events, options.out, options.seed, options.ids, tell)
    if options.ndjson:
        import bodies

        with open(options.ndjson, "wb") as file:
            for number, part in enumerate(slices(options.events, options.seed)):
                ids = uuid_texts(len(part["ts"]), options.seed, number) if options.ids else None
                for low in range(0, len(part["ts"]), 100_000):
                    file.write(bodies.ndjson(part, low, low + 100_000, ids))
                tell(f"slice {number + 1} of {slice_count(options.events)} written")


if __name__ == "__main__":
    main()
