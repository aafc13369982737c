import FunnelModel
import TestSupport
import Testing

struct ValueGroupsTests {
    /// The same by dictionaries.
    private struct Model {
        var absent: [UInt64]
        var counts: [PropertyValue: [UInt64]] = [:]
        var missing: [PropertyValue: UInt64] = [:]
        var untold: (values: Int, users: UInt64) = (0, 0)
        var valuesMin = 0

        var told: Int { counts.values.count { $0[0] > 0 } }

        mutating func merge(_ other: Model) {
            for value in Set(counts.keys).union(other.counts.keys) {
                missing[value, default: 0] += other.missing[value] ?? 0
                if counts[value] == nil { missing[value, default: 0] += untold.users }
                if other.counts[value] == nil { missing[value, default: 0] += other.untold.users }
            }
            absent = zip(absent, other.absent).map(+)
            counts.merge(other.counts) { zip($0, $1).map(+) }
            untold.values += other.untold.values
            untold.users += other.untold.users
            valuesMin = max(valuesMin, other.valuesMin)
        }

        /// The first `k` values with complete counts.
        func largest(_ k: Int) -> [PropertyValue] {
            let complete = counts.keys.filter { missing[$0] ?? 0 == 0 && counts[$0]?[0] != 0 }.sortedAsText()
            let users = complete.map { counts[$0]?[0] ?? 0 }
            return complete.indices.sorted { (users[$1], $0) < (users[$0], $1) }.prefix(k).map { complete[$0] }
        }
    }

    private static func part(steps: Int, _ random: inout SplitMix64) -> (ValueGroups, Model) {
        func counts() -> [UInt64] { (0..<steps).map { _ in UInt64(random.below(5)) } }
        var model = Model(absent: counts())
        for _ in 0..<random.pick([0, 3, 60]) { model.counts[ValueTableTests.value(&random).canonical] = counts() }
        var groups = ValueGroups(absent: model.absent, model.counts)
        if random.chance(50) {
            model.untold = (1 + random.below(9), UInt64(1 + random.below(9)))
            model.valuesMin = model.told + model.untold.values
            groups.leaveOut(values: model.untold.values, users: model.untold.users)
        }
        return (groups, model)
    }

    private static func compare(_ groups: ValueGroups, _ model: Model, _ random: inout SplitMix64) {
        #expect(
            groups.absent == model.absent && groups.untold.values == model.untold.values && groups.untold.users == model.untold.users
                && groups.values.isAscending())
        #expect(groups.count == model.counts.count && groups.byValue == model.counts)
        for i in 0..<groups.count {
            let value = groups.value(at: i)
            #expect(groups.counts(of: value) == model.counts[value] && groups.users(at: i) == model.counts[value]?[0])
            #expect(groups.missing(at: i) == model.missing[value] ?? 0)
        }
        #expect(groups.distinct == max(model.valuesMin, model.told)...(model.told + model.untold.values))
        let k = 1 + random.below(30)
        #expect(groups.largest(k).map(groups.value) == model.largest(k))
    }

    @Test func mergesAreThoseOfDictionaries() {
        var random = SplitMix64(seed: 0x6A0)
        for _ in 0..<1_000 {
            let steps = 1 + random.below(4)
            var (groups, model) = Self.part(steps: steps, &random)
            var parts = [groups]
            Self.compare(groups, model, &random)
            for _ in 0..<random.below(5) {
                let (more, moreModel) = Self.part(steps: steps, &random)
                parts.append(more)
                groups.merge(more)
                model.merge(moreModel)
                Self.compare(groups, model, &random)
            }
            // The order of merges and an empty start make no difference.
            var other = ValueGroups(steps: steps)
            for part in parts.shuffled(using: &random) { other.merge(part) }
            #expect(other == groups)
        }
    }
}
