#!/bin/sh
# Fuzzes every surface, or those named, with the address sanitizer.
#
#     Tests/Fuzz/run.sh 60 1 lines batch        60 seconds each, seed 1
#
# Corpora grow in .build-fuzz/corpus; an input that fails is left in .build-fuzz/failed, and the run ends with an error.
set -eu
seconds=${1:-30} seed=${2:-1}
[ $# -gt 2 ] && shift 2 && surfaces=$* || surfaces="lines list batch frame column definition query result native-json segment posthog mixpanel amplitude snowplow cloudevents rules"
root=$(cd "$(dirname "$0")/../.." && pwd)
build="$root/.build-fuzz"
# Not -c release: that would leave checks out which a fuzzer should meet.
SLUICE_FUZZ=1 swift build --package-path "$root" --scratch-path "$build" -Xswiftc -sanitize=fuzzer,address -Xswiftc -O --product funnel-fuzz
program="$build/debug/funnel-fuzz"
mkdir -p "$build/failed"
python3 "$root/Tests/Fuzz/seeds.py" "$build/seeds"
for surface in $surfaces; do
    corpus="$build/corpus/$surface" log="$build/$surface.log"
    mkdir -p "$corpus" "$build/seeds/$surface"
    echo "fuzzing $surface for $seconds s, seed $seed"
    FUZZ_SURFACE=$surface SWIFT_BACKTRACE=enable=no timeout -s KILL $((seconds + 60)) "$program" "$corpus" "$build/seeds/$surface" -seed="$seed" \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$build/failed/$surface-" >"$log" 2>&1 || {
        tail -40 "$log"
        exit 1
    }
    # Without counters the fuzzer would be blind, and say nothing of it.
    grep -q "INFO: Loaded .* PC tables\|INFO: Loaded .* modules" "$log" || { echo "$surface: not instrumented"; exit 1; }
    tail -1 "$log"
done
