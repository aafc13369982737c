import FunnelModel

/// The rules of `Protocol/FUNNEL.md`, sections 3-5, word by word and by trying everything. Only for tests: the work
/// grows without bound with the history.
package struct ReferenceMatcher {
    private let plan: FunnelPlan

    package init(_ plan: FunnelPlan) { self.plan = plan }

    package func match(time: [Int64], mask: [UInt64]) -> UserOutcome {
        let history = History(plan: plan, time: time, mask: mask)
        var starts = time.indices.filter { history.fills($0, 0) && plan.entryRange.contains(time[$0]) }
        if plan.definition.entry == .first { starts = Array(starts.prefix(1)) }
        let attempts = starts.map { history.attempt(from: $0) }
        guard let deepest = attempts.map(\.count).max() else { return UserOutcome() }
        var candidates = attempts.filter { $0.count == deepest }
        if plan.definition.entry == .shortest, let least = candidates.map(history.took).min() {
            candidates = candidates.filter { history.took($0) == least }
        }
        var outcome = UserOutcome(depth: deepest, chain: candidates[0], openDepth: 0)
        if deepest < plan.steps { outcome.openDepth = attempts.filter(history.isOpen).map(\.count).max() ?? 0 }
        return outcome
    }

    private struct History {
        let plan: FunnelPlan
        let time: [Int64]
        let mask: [UInt64]

        func sec(_ row: Int) -> Int64 { plan.ticks(time[row]) }

        func fills(_ row: Int, _ step: Int) -> Bool { mask[row] >> UInt64(step) & 1 == 1 }

        /// May `c` follow `previous` in an attempt that began with `a`?
        func follows(_ c: Int, _ previous: Int, _ a: Int) -> Bool {
            switch plan.definition.order {
            case .sequential: guard sec(c) > sec(previous) else { return false }
            case .flexible(let limit): guard sec(previous) - sec(c) < limit / plan.tick else { return false }
            }
            let base = plan.definition.anchor == .firstStep ? a : previous
            return sec(c) - sec(base) <= plan.definition.window / plan.tick
        }

        func depth(after chain: [Int]) -> Int {
            guard chain.count < plan.steps else { return chain.count }
            var best = chain.count
            for c in time.indices where fills(c, chain.count) && !chain.contains(c) {
                if follows(c, chain[chain.count - 1], chain[0]) { best = max(best, depth(after: chain + [c])) }
            }
            return best
        }

        /// The deepest chain from `a`; step by step the instance nearest to it among those that still allow that depth.
        func attempt(from a: Int) -> [Int] {
            var chain = [a]
            let target = depth(after: chain)
            while chain.count < target {
                let allowed = time.indices.filter { c in
                    fills(c, chain.count) && !chain.contains(c) && follows(c, chain[chain.count - 1], a)
                        && depth(after: chain + [c]) == target
                }
                let nearest = allowed.min { x, y in
                    let dx = abs(sec(x) - sec(a))
                    let dy = abs(sec(y) - sec(a))
                    if dx != dy { return dx < dy }
                    if (sec(x) >= sec(a)) != (sec(y) >= sec(a)) { return sec(x) >= sec(a) }
                    return x < y
                }
                guard let nearest else { break }
                chain.append(nearest)
            }
            return chain
        }

        func took(_ chain: [Int]) -> Int64 { max(0, sec(chain[chain.count - 1]) - sec(chain[0])) }

        func isOpen(_ chain: [Int]) -> Bool {
            let base = plan.definition.anchor == .firstStep ? chain[0] : chain[chain.count - 1]
            return chain.count < plan.steps && plan.ticks(plan.asOf) <= sec(base) + plan.definition.window / plan.tick
        }
    }
}
