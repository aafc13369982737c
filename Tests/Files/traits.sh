#!/bin/sh
# Files in zstd, read by a program that was built with the trait Zstd: the same records as without compression.
# Usage: traits.sh SLUICE
set -eu
sluice=$(realpath "$1")
samples=$(cd "$(dirname "$0")/samples" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
read_as() { "$sluice" load "$1" --preset retailrocket --dry-run --format json | sed 's/^{"file":"[^"]*",//' || true; }
head -c 300 "$samples/retailrocket.csv" > first
tail -c +301 "$samples/retailrocket.csv" > second
read_as "$samples/retailrocket.csv" > plain.out
test -s plain.out
zstd -q "$samples/retailrocket.csv" -o one.zst
read_as one.zst > one.out
cmp plain.out one.out
zstd -q first second && cat first.zst second.zst > frames.zst
read_as frames.zst > frames.out
cmp plain.out frames.out
# A gigabyte of zeros in a few kilobytes takes no more memory than any file.
head -c 1000000000 /dev/zero | zstd -q > zeros.zst
/usr/bin/env python3 - "$sluice" zeros.zst <<'END'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "load", sys.argv[2], "--dry-run"], capture_output=True, timeout=120)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
assert peak < 300, f"{peak} MiB"
END
head -c $(($(stat -c %s one.zst) - 5)) one.zst > cut.zst
if "$sluice" load cut.zst --preset retailrocket --dry-run > cut.out 2>&1; then echo "a file cut short was read as whole" >&2; exit 1; fi
grep -q "ends early\|damaged" cut.out
echo "zstd: one frame, many frames, a bomb and a file cut short: as expected"
