import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

struct ValueGroupsTests {
    private static func result(_ groups: ValueGroups, left: UInt64) -> PartialResult {
        var result = PartialResult(steps: groups.steps, times: false, buckets: [0..<1_024])
        for i in 0..<groups.steps {
            let users = (0..<groups.count).reduce(groups.absent[i]) { $0 + groups.users(at: $1, position: i) }
            result.counts[i] = users + (i == 0 ? left : 0)
        }
        result.report = .breakdown(groups)
        return result
    }

    private static func value(_ random: inout SplitMix64) -> PropertyValue {
        let number = random.below(40)
        return random.pick([
            .bool(number > 20), .integer(Int64(number)), .integer(-Int64(number) << 50), .double(Double(number) + 0.5),
            .string(ByteString(String(number))), .string(random.pick(["", "true", "0.5"])), .string(ByteString("value-\(number)")),
        ])
    }

    @Test func groupsAreTheSameAfterTheWire() throws {
        var random = SplitMix64(seed: 0x6A1)
        for _ in 0..<500 {
            let steps = 1 + random.below(3)
            func counts() -> [UInt64] { (0..<steps).map { UInt64($0 == 0 ? 300 : random.below(300)) } }
            var byValue: [PropertyValue: [UInt64]] = [:]
            for _ in 0..<random.below(50) { byValue[Self.value(&random)] = counts() }
            var groups = ValueGroups(absent: counts(), byValue)
            let left = random.below(3)
            if left > 0 { groups.leaveOut(values: left, users: 7) }
            let result = Self.result(groups, left: UInt64(left) * 7)
            #expect(try PartialResult(body: result.body) == result)
        }
    }

    /// The body of a result of one step, with these values of a user each.
    private static func body(_ values: [[UInt8]]) -> [UInt8] {
        let count = UInt8(values.count)
        return [1, 0, 0, count, 0, 1, 0, count] + values.flatMap { $0 + [1] } + [0]
    }

    @Test func valuesMayComeInAnyOrderButNotTwice() throws {
        let values: [[UInt8]] = [[1, 2, 49, 48], [2, 20], [1, 0], [4, 1], [4, 0], [2, 1], [1, 2, 45, 49]]
        let expected: [PropertyValue] = [.string(""), .integer(-1), .string("-1"), .integer(10), .string("10"), .bool(false), .bool(true)]
        guard case .breakdown(let groups)? = try PartialResult(body: Self.body(values)).report else {
            Issue.record("no groups")
            return
        }
        #expect((0..<groups.count).map(groups.value) == expected)
        for value in values {
            let error = #expect(throws: ByteError.self) { try PartialResult(body: Self.body(values + [value])) }
            #expect(error?.reason == "a value is given twice")
        }
    }
}
