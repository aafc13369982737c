import FunnelMatch
import FunnelModel

/// Events matched to steps.
struct ReferenceChain: Equatable {
    /// By step, -1 where an optional one was skipped; in any order, by time. The last one is always matched.
    var rows: [Int]
    /// In any order, the position of each; empty otherwise.
    var positions: [Int] = []

    var depth: Int { rows.count }
    var matched: [Int] { rows.filter { $0 >= 0 } }
    var first: Int { rows[0] }
    var last: Int { rows[rows.count - 1] }
}

extension ReferenceHistory {
    /// Every chain that exists from A, of every depth; none where A is no event to start with.
    func chains(from a: Int) -> [ReferenceChain] {
        var found: [ReferenceChain] = []
        if plan.definition.order == .any {
            for position in 0..<plan.steps where matches(a, position) {
                collectAny(ReferenceChain(rows: [a], positions: [position]), &found)
            }
        } else if matches(a, 0) {
            collect(ReferenceChain(rows: [a]), &found)
        }
        return found.filter { !isBroken($0) }
    }

    /// The chain and all that continue it, step by step.
    private func collect(_ chain: ReferenceChain, _ found: inout [ReferenceChain]) {
        found.append(chain)
        let before = chain.depth - 1
        for position in chain.depth..<max(chain.depth, plan.steps) {
            let skipped = Array(repeating: -1, count: position - chain.depth)
            for c in rows where matches(c, position) && !chain.rows.contains(c) {
                guard heldValues(c, position) == heldValues(chain.first, 0) else { continue }
                guard follows(c, position, chain.last, before, chain.first) else { continue }
                collect(ReferenceChain(rows: chain.rows + skipped + [c]), &found)
            }
            if !isOptional(position) { break }
        }
    }

    /// In any order: the chain and all that continue it by a later event, at any position that is left.
    private func collectAny(_ chain: ReferenceChain, _ found: inout [ReferenceChain]) {
        found.append(chain)
        let a = chain.first
        let later = chain.depth == 1 ? -1 : chain.last
        for c in rows where c > later && c != a && sec(c) - sec(a) >= 0 && sec(c) - sec(a) <= plan.window.count {
            for position in 0..<plan.steps where matches(c, position) && !chain.positions.contains(position) {
                guard heldValues(c, position) == heldValues(a, chain.positions[0]) else { continue }
                collectAny(ReferenceChain(rows: chain.rows + [c], positions: chain.positions + [position]), &found)
            }
        }
    }
}

extension ReferenceHistory {
    /// Depth first, then the number of optional steps done.
    struct Rank: Comparable {
        let depth: Int
        let optional: Int

        static func < (a: Rank, b: Rank) -> Bool { (a.depth, a.optional) < (b.depth, b.optional) }
    }

    func rank(_ chain: ReferenceChain) -> Rank {
        let optional = plan.definition.order == .any ? 0 : chain.rows.indices.filter { isOptional($0) && chain.rows[$0] >= 0 }.count
        return Rank(depth: chain.depth, optional: optional)
    }

    func took(_ chain: ReferenceChain) -> Int64 { max(0, sec(chain.last) - sec(chain.first)) }

    /// Section 5: the chain that A takes. Step by step the instance nearest to A among those that still allow the greatest
    /// rank; a step is skipped only where all of those skip it.
    func attempt(from a: Int) -> ReferenceChain? {
        let all = chains(from: a)
        guard let best = all.map(rank).max() else { return nil }
        var left = all.filter { rank($0) == best }
        for i in 1..<max(1, best.depth) {
            guard let nearest = left.map({ $0.rows[i] }).filter({ $0 >= 0 }).min(by: { isNearer($0, $1, to: a) }) else { continue }
            left = left.filter { $0.rows[i] == nearest }
        }
        // Of any order: the same events can be dealt to the positions in several ways.
        return left.min { $0.positions.lexicographicallyPrecedes($1.positions) }
    }

    private func isNearer(_ x: Int, _ y: Int, to a: Int) -> Bool {
        let dx = abs(sec(x) - sec(a))
        let dy = abs(sec(y) - sec(a))
        if dx != dy { return dx < dy }
        if (sec(x) >= sec(a)) != (sec(y) >= sec(a)) { return sec(x) >= sec(a) }
        return x < y
    }
}
