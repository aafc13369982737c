// The counting kernel of the product over the same keys as kernel.c, so that the two can be held against each other:
//
//     SLUICE_BENCH=1 swift build -c release --product kernel-twin
//     kernel-twin f4.keys 86400000 20            keys, window in ms, repetitions
//
// Under callgrind the difference between two numbers of repetitions is what the kernel itself costs.
import FunnelMatch
import FunnelModel
import Glibc

guard CommandLine.arguments.count == 4, let window = UInt64(CommandLine.arguments[2]), let rounds = Int(CommandLine.arguments[3]),
    let file = fopen(CommandLine.arguments[1], "rb")
else {
    print("usage: kernel-twin KEYS WINDOW_MS ROUNDS")
    exit(2)
}

func read(_ count: Int) -> [UInt64] {
    var values = [UInt64](repeating: 0, count: count)
    guard fread(&values, 8, count, file) == count else {
        print("the file is cut short")
        exit(1)
    }
    return values
}

let fileBits: UInt64 = 33
let steps = Int(read(1)[0])
let runs = read(steps).map { read(Int($0)) }
guard let layout = KernelRules.layout(range: 1 << 32, window: window, slack: 1, steps: steps) else { exit(1) }
let rules = KernelRules(
    steps: steps, timeBits: layout.timeBits, window: layout.window, slack: 1, anchor: .firstStep, entry: .shortest, openFrom: nil, boundaries: [])

/// Slices of users with about 24,000 keys each, as a scan cuts them.
let users = Int((runs.compactMap { $0.last }.max() ?? 0) >> fileBits) + 1
let keys = runs.reduce(0) { $0 + $1.count }
let sliceUsers = UInt64(max(1, users * 24_000 / max(1, keys)))
var at = [Int](repeating: 0, count: steps)
var slices: [[KeyList]] = []
for first in stride(from: UInt64(0), to: UInt64(users), by: Int(sliceUsers)) {
    slices.append(
        (0..<steps).map { step in
            let start = at[step]
            while at[step] < runs[step].count, runs[step][at[step]] >> fileBits < first + sliceUsers { at[step] += 1 }
            return KeyList(runs[step][start..<at[step]].map { ($0 >> fileBits - first) << UInt64(layout.timeBits) | ($0 & (1 << fileBits - 1)) + layout.lead })
        })
}

var best = Double.infinity
var counts: [Int] = []
for _ in 0..<rounds {
    var counter = DepthCounter(rules)
    let start = ContinuousClock.now
    for slice in slices { counter.add(slice) }
    best = min(best, (ContinuousClock.now - start) / .nanoseconds(1))
    counts = counter.counts
}
print("counts", counts, "best", best / 1e6, "ms,", best / Double(keys), "ns a key of any step")
