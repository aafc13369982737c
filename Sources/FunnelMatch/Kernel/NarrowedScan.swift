import FunnelModel

/// The rules that only take chains away from those of a plain funnel.
package struct Narrowing: Sendable {
    let exclusions: [FunnelPlan.Exclusion]
    let isHeld: Bool
    /// The tick of `as_of`.
    let now: UInt64

    package init(_ plan: FunnelPlan, now: UInt64) {
        exclusions = plan.exclusions
        isHeld = !plan.held.isEmpty
        self.now = now
    }
}

/// The held properties of the rows in a slice's lists.
package protocol HeldValues {
    /// A number for the values that each of some rows of a step's list has for the step's held properties; equal numbers mean
    /// equal values. Negative if the row lacks one.
    mutating func numbers(step: Int, of indexes: [UInt32]) throws -> [Int32]
}

/// Finds the chosen attempts of a slice's users under exclusions and held properties, which only take chains away.
///
/// First, `AttemptScan` matches all users as if there were no such rules. A user whose chain the rules leave is done. Of all
/// chains of its attempt A that chain is the first in order, hence also of those left, so A still takes it. Any other attempt
/// is not deeper than before. It does not end sooner either, since plain chains take the earliest event at every step. So A is
/// still the chosen attempt. All other users are matched one by one (`NarrowedUser`), on the same lists.
package struct NarrowedScan: ~Copyable {
    private let rules: KernelRules
    private let narrowing: Narrowing
    private var attempts: AttemptScan
    private var user: NarrowedUser
    /// By row of the outcomes: whether the rules leave its chain.
    private var isSettled: [Bool] = []
    /// Rows that the rules may change.
    private var rest: [Int] = []

    /// Nil if the kernel does not take the rules.
    /// - Parameter isCancelled: called at least about once a millisecond, since one history may take long.
    package init?(_ rules: KernelRules, _ narrowing: Narrowing, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        guard let attempts = AttemptScan(rules, includeShallow: true) else { return nil }
        self.rules = rules
        self.narrowing = narrowing
        self.attempts = attempts
        user = NarrowedUser(rules, narrowing, isCancelled: isCancelled)
    }

    /// The users with an attempt, by group, of the slice scanned last.
    package var outcomes: SliceOutcomes { attempts.outcomes }

    /// Scans a slice.
    /// - Parameters:
    ///   - lists: with held properties, equal keys of a step in canonical order (`FUNNEL.md` section 1).
    ///   - listOfStep: by step, index in `lists`.
    ///   - listOfExclusion: by exclusion, index in `lists`.
    ///   - values: only called with held properties.
    ///   - tooHeavy: called with the place in the slice of a user who takes too much work, and the error. Unless it throws, the
    ///     user is left out.
    /// - Throws: `MatchError.cancelled`, and errors of `values` and `tooHeavy`.
    package mutating func scan(
        _ lists: [KeyList], listOfStep: [Int], listOfExclusion: [Int], _ values: inout some HeldValues,
        tooHeavy: (Int, MatchError) throws -> Void = { throw $1 }
    ) throws {
        attempts.scan(lists, listOfStep: listOfStep)
        guard attempts.outcomes.count > 0 else { return }
        isSettled.removeAll(keepingCapacity: true)
        isSettled.append(contentsOf: repeatElement(true, count: attempts.outcomes.count))
        let steps = listOfStep.map { lists[$0] }
        let excluded = listOfExclusion.map { lists[$0] }
        for (exclusion, list) in zip(narrowing.exclusions, excluded) { findBroken(exclusion, list, steps) }
        if narrowing.isHeld { try findMixed(steps, &values) }
        rest.removeAll(keepingCapacity: true)
        for row in isSettled.indices where !isSettled[row] { rest.append(row) }
        if !rest.isEmpty { try matchRest(steps, excluded, &values, tooHeavy) }
    }

    // MARK: Users that the rules do not change

    /// Marks users as not settled if an excluded event may break their chain, leave them out or close an open attempt.
    private mutating func findBroken(_ exclusion: FunnelPlan.Exclusion, _ list: KeyList, _ steps: [KeyList]) {
        let users = attempts.outcomes.user
        var next = 0
        for row in users.indices {
            let place = UInt64(users[row]) << UInt64(rules.timeBits)
            next = list.index(from: next, atLeast: place)
            if next == list.count { return }
            let end = place &+ 1 &<< UInt64(rules.timeBits)
            if list[next] < end, mayChange(row, exclusion, list, next, end: end, steps) { isSettled[row] = false }
        }
    }

    /// Whether an exclusion may change the outcome of a row.
    /// - Parameters:
    ///   - first: index of the user's first excluded event.
    ///   - end: lower bound of the next user's keys.
    private func mayChange(
        _ row: Int, _ exclusion: FunnelPlan.Exclusion, _ list: KeyList, _ first: Int, end: UInt64, _ steps: [KeyList]
    ) -> Bool {
        let depth = Int(attempts.outcomes.depth[row])
        let start = key(row, 0, steps)
        if exclusion.dropsUser, depth < rules.steps {
            // Unless the whole window is clean, `NarrowedUser` decides whether the user is left out.
            if has(list, first, after: start, before: start &+ rules.window &+ 1) { return true }
        } else if depth >= exclusion.after + 2 {
            if has(list, first, after: key(row, exclusion.after, steps), before: key(row, min(exclusion.before, depth - 1), steps)) {
                return true
            }
        }
        guard attempts.outcomes.openDepth[row] > 0, let openFrom = rules.openFrom else { return false }
        // If the chosen attempt is open, no other open one is deeper. Else an open one starts at or after `earliest`; only
        // later events can stop it.
        let earliest = end &- 1 &<< UInt64(rules.timeBits) | openFrom
        guard start >= earliest else { return has(list, first, after: earliest, before: end) }
        return exclusion.after < depth && depth <= exclusion.before && has(list, first, after: key(row, depth - 1, steps), before: end)
    }

    private func key(_ row: Int, _ step: Int, _ steps: [KeyList]) -> UInt64 { steps[step][Int(attempts.outcomes.chosen[step][row])] }

    private func has(_ list: KeyList, _ from: Int, after low: UInt64, before high: UInt64) -> Bool {
        let i = list.index(from: from, atLeast: low &+ 1)
        return i < list.count && list[i] < high
    }

    /// Marks users as not settled if the events of their chain may differ in held values.
    private mutating func findMixed(_ steps: [KeyList], _ values: inout some HeldValues) throws {
        let count = attempts.outcomes.count
        let first = try values.numbers(step: 0, of: attempts.outcomes.chosen[0])
        let mask: UInt64 = 1 << UInt64(rules.timeBits) - 1
        for row in 0..<count {
            let i = Int(attempts.outcomes.chosen[0][row])
            // Two events of one clock value may have different values.
            let isTied = i + 1 < steps[0].count && steps[0][i + 1] == steps[0][i]
            // If the chosen attempt is open, no other open one is deeper; else the values of the open ones are not known.
            let isOpenElsewhere = attempts.outcomes.openDepth[row] > 0 && steps[0][i] & mask < rules.openFrom ?? 0
            if first[row] < 0 || isTied || isOpenElsewhere { isSettled[row] = false }
        }
        for step in 1..<max(1, rules.steps) {
            let rows = (0..<count).filter { isSettled[$0] && Int(attempts.outcomes.depth[$0]) > step }
            if rows.isEmpty { break }
            let found = try values.numbers(step: step, of: rows.map { attempts.outcomes.chosen[step][$0] })
            for (row, number) in zip(rows, found) where number != first[row] { isSettled[row] = false }
        }
    }

    // MARK: Users that are matched again

    /// The ranges of some users' keys in a list.
    /// - Parameter places: ascending; equal for one user in several groups.
    private static func ranges(_ list: KeyList, _ places: [UInt64], timeBits: Int) -> [Range<Int>] {
        var first = 0
        return places.map { place in
            first = list.index(from: first, atLeast: place << UInt64(timeBits))
            return first..<list.index(from: first, atLeast: (place + 1) << UInt64(timeBits))
        }
    }

    /// The ticks of step 1 of the attempts in a group.
    private func ticks(ofGroup group: Int) -> Range<UInt64> {
        let bounds = rules.boundaries
        return (group == 0 ? 0 : bounds[group - 1])..<(group == bounds.count ? .max : bounds[group])
    }

    private mutating func matchRest(
        _ steps: [KeyList], _ excluded: [KeyList], _ values: inout some HeldValues, _ tooHeavy: (Int, MatchError) throws -> Void
    ) throws {
        let users = attempts.outcomes.user
        let (places, timeBits) = (rest.map { UInt64(users[$0]) }, rules.timeBits)
        let ranges = steps.map { Self.ranges($0, places, timeBits: timeBits) }
        let excludedRanges = excluded.map { Self.ranges($0, places, timeBits: timeBits) }
        var numbers: [[Int32]] = []
        if narrowing.isHeld {
            numbers = try ranges.enumerated().map { step, ranges in
                try values.numbers(step: step, of: ranges.flatMap { UInt32($0.lowerBound)..<UInt32($0.upperBound) })
            }
        }
        // By step, how many of the numbers are used already.
        var used = [Int](repeating: 0, count: steps.count)
        for (i, row) in rest.enumerated() {
            user.rows.removeAll()
            for step in steps.indices {
                let range = ranges[step][i]
                user.rows.add(step, steps[step], range, numbers.isEmpty ? [] : numbers[step][used[step]..<(used[step] + range.count)])
                used[step] += range.count
            }
            for e in excluded.indices { user.rows.add(excluded: excluded[e], excludedRanges[e][i]) }
            var found = NarrowedUser.Outcome()
            do throws(MatchError) {
                found = try user.match(
                    depthMax: Int(attempts.outcomes.depth[row]), starting: ticks(ofGroup: Int(attempts.outcomes.group[row])))
            } catch .cancelled {
                throw MatchError.cancelled
            } catch {
                try tooHeavy(Int(users[row]), error)
            }
            attempts.outcomes.depth[row] = UInt8(truncatingIfNeeded: found.chain.count)
            attempts.outcomes.openDepth[row] = UInt8(truncatingIfNeeded: found.openDepth)
            for (k, index) in found.chain.enumerated() { attempts.outcomes.chosen[k][row] = index }
        }
        attempts.outcomes.removeEmpty()
    }
}

extension KeyList {
    /// The first index from `start` on whose key is at least `bound`; `count` if there is none. Fast if it is near `start`.
    func index(from start: Int, atLeast bound: UInt64) -> Int {
        let keys = span
        var low = start
        var step = 1
        while low + step <= keys.count, keys[low + step - 1] < bound {
            low += step
            step += step
        }
        return (low..<min(keys.count, low + step - 1)).partitioningIndex { keys[$0] >= bound }
    }
}
