import FunnelMatch
import FunnelModel

/// Events of one unit, and what the rules say about single ones. All times are in ticks of the clock.
struct ReferenceHistory {
    let plan: FunnelPlan
    let user: UserHistory
    /// Rows of the unit.
    private(set) var rows: [Int]
    /// Rows that earlier attempts used.
    var used: Set<Int> = []
    var ignoresDroppingExclusions = false

    init(plan: FunnelPlan, user: UserHistory, rows: [Int]) {
        self.plan = plan
        self.user = user
        self.rows = rows
    }

    func restricted(to rows: [Int]) -> ReferenceHistory {
        var part = self
        part.rows = rows
        return part
    }

    func sec(_ row: Int) -> Int64 { plan.ticks(user.time[row]) }

    func isOptional(_ position: Int) -> Bool { plan.optional.contains(position) }

    /// Is this an event of that step?
    func fills(_ row: Int, _ position: Int) -> Bool { user.mask[row].contains(position) }

    /// Can the event be matched to that step: not used, and with a value of every held property?
    func matches(_ row: Int, _ position: Int) -> Bool {
        fills(row, position) && !used.contains(row) && heldValues(row, position).allSatisfy { $0 >= 0 }
    }

    /// Codes of the held properties, each under the name it has at that step.
    func heldValues(_ row: Int, _ position: Int) -> [Int32] { plan.held.map { user.held[$0[position]][row] } }

    /// Section 3: may `c`, at `position`, follow `previous`, at `before`, in an attempt that began with `a`?
    func follows(_ c: Int, _ position: Int, _ previous: Int, _ before: Int, _ a: Int) -> Bool {
        switch plan.definition.order {
        case .sequential: guard sec(c) > sec(previous) else { return false }
        case .flexible: guard sec(previous) - sec(c) < plan.slack.count else { return false }
        case .strict:
            guard sec(c) > sec(previous) else { return false }
            let breaks = rows.contains { x in
                !fills(x, before) && !fills(x, position) && sec(previous) < sec(x) && sec(x) < sec(c)
            }
            if breaks { return false }
        case .any: return false
        }
        if let window = plan.stepWindow[position], sec(c) - sec(previous) > window.count { return false }
        let base = plan.definition.anchor == .firstStep ? a : previous
        return sec(c) - sec(base) <= plan.window.count
    }
}
