import FunnelMatch
import FunnelModel

/// Exclusions, and when an attempt is over.
extension ReferenceHistory {
    /// Does an excluded event lie between the steps of an exclusion? Where a step was skipped, the last one done before
    /// `after` and the first one done behind `before` stand for them.
    func isBroken(_ chain: ReferenceChain) -> Bool {
        plan.exclusions.indices.contains { e in
            let exclusion = plan.exclusions[e]
            if exclusion.dropsUser, ignoresDroppingExclusions { return false }
            guard chain.depth - 1 > exclusion.after else { return false }
            let from = lastDone(chain, through: exclusion.after)
            let through = firstDone(chain, from: min(exclusion.before, chain.depth - 1))
            return rows.contains { x in
                isExcluded(x, e) && sec(chain.rows[from]) < sec(x) && sec(x) < sec(chain.rows[through])
                    && !isTied(x, chain, from...through)
            }
        }
    }

    /// The events after which no event can become a further step: an excluded one, or in strict order another one.
    private func stops(_ chain: ReferenceChain) -> [Int] {
        guard chain.depth < plan.steps else { return [] }
        return rows.filter { x in
            guard sec(x) > sec(chain.last) else { return false }
            if plan.definition.order == .strict { return !fills(x, chain.depth - 1) && !fills(x, chain.depth) }
            return plan.exclusions.indices.contains { stops(chain, x, $0) }
        }
    }

    /// Is x an event of this exclusion, and after the last step of a chain that has come to `after` and not to `before`?
    private func stops(_ chain: ReferenceChain, _ x: Int, _ e: Int) -> Bool {
        let exclusion = plan.exclusions[e]
        guard isExcluded(x, e), exclusion.after <= chain.depth - 1, chain.depth - 1 < exclusion.before else { return false }
        let from = lastDone(chain, through: exclusion.after)
        return sec(x) > sec(chain.rows[from]) && sec(x) > sec(chain.last) && !isTied(x, chain, from...(chain.depth - 1))
    }

    /// `drop_user`: does such an x lie within the chain's window?
    func isUnclean(_ chain: ReferenceChain) -> Bool {
        rows.contains { x in
            sec(x) <= closes(chain) && plan.exclusions.indices.contains { plan.exclusions[$0].dropsUser && stops(chain, x, $0) }
        }
    }

    /// The last clock value at which the windows allow a next step. That is any step from the next one to the next required.
    func closes(_ chain: ReferenceChain) -> Int64 {
        let base = plan.definition.anchor == .firstStep ? chain.first : chain.last
        let end = sec(base) + plan.window.count
        if plan.definition.order == .any { return end }
        var latest = Int64.min
        for position in chain.depth..<max(chain.depth, plan.steps) {
            latest = max(latest, min(end, plan.stepWindow[position].map { sec(chain.last) + $0.count } ?? end))
            if !isOptional(position) { break }
        }
        return latest
    }

    /// Could an event at this clock value still be a next step?
    func isOpen(_ chain: ReferenceChain, at clock: Int64) -> Bool {
        chain.depth < plan.steps && clock <= closes(chain) && !stops(chain).contains { sec($0) < clock }
    }

    /// Where a serial attempt ends: at its latest matched event if it converted, else at what stops it or when its window
    /// closes, whichever comes first.
    func end(of chain: ReferenceChain) -> Int64 {
        if chain.depth == plan.steps { return chain.matched.map(sec).max() ?? sec(chain.first) }
        return min(closes(chain), stops(chain).map(sec).min() ?? Int64.max)
    }

    private func isExcluded(_ x: Int, _ exclusion: Int) -> Bool { user.excluded[x].contains(exclusion) }

    private func isTied(_ x: Int, _ chain: ReferenceChain, _ steps: ClosedRange<Int>) -> Bool {
        steps.contains { chain.rows[$0] >= 0 && sec(chain.rows[$0]) == sec(x) }
    }

    private func lastDone(_ chain: ReferenceChain, through step: Int) -> Int {
        (0...step).last { chain.rows[$0] >= 0 } ?? 0
    }

    private func firstDone(_ chain: ReferenceChain, from step: Int) -> Int {
        (step..<chain.depth).first { chain.rows[$0] >= 0 } ?? chain.depth - 1
    }
}
