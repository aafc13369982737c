import CoordinatorService
import FunnelModel
import TestSupport
import Testing

struct ReportTests {
    private static let steps: [FunnelDefinition.Step] = [.init("view"), .init("buy")]

    private func groups(_ counts: [PropertyValue: [UInt64]], absent: [UInt64] = [0, 0]) -> ValueGroups {
        ValueGroups(absent: absent, counts)
    }

    /// - Parameter left: users by step of values that the groups don't tell.
    private func report(_ groups: ValueGroups, k: Int = 10, left: [UInt64] = [0, 0]) -> JSONValue {
        let whole = groups.byValue.values.reduce(zip(groups.absent, left).map(+)) { zip($0, $1).map(+) }
        let request = BreakdownRequest(Breakdown(property: "plan", touch: .step(2)), rows: k)
        return BreakdownReport(request, groups, of: whole, FunnelDefinition(steps: Self.steps)).json
    }

    private func values(_ report: JSONValue) -> [JSONValue?] { (report["rows"]?.asArray ?? []).map { $0["value"] } }

    @Test func aBreakdownHasThisShape() throws {
        let report = report(groups([.string("pro"): [4, 1], .string("free"): [2, 2], .string("trial"): [1, 0]], absent: [3, 0]), k: 1)
        #expect(report["property"] == "plan" && report["touch"] == "step:2" && report["k"] == 1)
        let rows = try #require(report["rows"]?.asArray)
        #expect(rows.count == 2)
        #expect(rows[0].asObject?.map(\.key) == ["value", "entered", "converted", "conversion", "conversion_ci", "steps"])
        #expect(rows[0]["value"] == "pro" && rows[0]["entered"] == 4 && rows[0]["converted"] == 1 && rows[0]["conversion"] == 0.25)
        #expect(rows[0]["conversion_ci"]?.asArray?.count == 2)
        #expect(
            rows[0]["steps"] == [
                [
                    "step": "view", "index": 1, "count": 4, "conversion_from_first": 1.0, "conversion_from_previous": nil,
                    "dropoff": nil,
                ],
                [
                    "step": "buy", "index": 2, "count": 1, "conversion_from_first": 0.25, "conversion_from_previous": 0.25,
                    "dropoff": 3,
                ],
            ])
        #expect(rows[1]["value"] == .null && rows[1]["entered"] == 3 && rows[1]["conversion"] == 0.0)
        let other = try #require(report["other"])
        #expect(other.asObject?.first == .init("values", 2) && other["value"] == nil)
        #expect(other["entered"] == 3 && other["converted"] == 2 && other["steps"]?.asArray?.count == 2)
    }

    @Test func valuesThatNoShardTellsCountInTheRest() throws {
        var one = groups([.string("pro"): [9, 4], .string("free"): [5, 2]], absent: [1, 0])
        one.leaveOut(values: 3, users: 4)
        let alone = report(one, k: 1, left: [7, 1])
        #expect(values(alone) == ["pro", .null] && alone["other"]?["values"] == 4)
        #expect(alone["other"]?["entered"] == 12 && alone["other"]?["converted"] == 3 && alone["other"]?["values_range"] == nil)
        // What two shards left out may be the same values, and "free" may have more users on the second.
        var other = groups([.string("pro"): [8, 8]])
        other.leaveOut(values: 6, users: 2)
        one.merge(other)
        let both = report(one, k: 5, left: [17, 2])
        #expect(values(both) == ["pro", .null] && both["other"]?["values"] == .null)
        #expect(both["other"]?["values_range"] == [6, 10] && both["other"]?["entered"] == 22 && both["other"]?["converted"] == 4)
    }

    @Test func whoHasNoValueIsAlwaysShown() throws {
        let nobody = report(groups([:]))
        let rows = try #require(nobody["rows"]?.asArray)
        #expect(values(nobody) == [.null] && nobody["other"] == .null)
        #expect(rows[0]["entered"] == 0 && rows[0]["conversion"] == .null && rows[0]["conversion_ci"] == .null)
        #expect(rows[0]["steps"]?.asArray?[1]["conversion_from_first"] == .null)
        #expect(rows[0]["steps"]?.asArray?[1]["dropoff"] == 0)
        // The string is not the absence.
        #expect(values(report(groups([.string("null"): [1, 0]], absent: [9, 9]))) == ["null", .null])
    }

    @Test func rowsGoBySizeThenByTheValueAsText() {
        let all: [PropertyValue: [UInt64]] = [
            .string("b"): [1, 0], .string("a"): [1, 1], .string("zz"): [2, 0], .integer(10): [1, 0], .integer(9): [1, 0],
            .string("10"): [1, 0], .double(0.5): [1, 0], .bool(true): [1, 0], .bool(false): [1, 0], .integer(-1): [1, 0],
            .string("\u{E9}"): [1, 0], .string(""): [1, 0],
        ]
        let sorted: [JSONValue?] = ["zz", "", -1, 0.5, 10, "10", 9, "a", "b", false, true, "\u{E9}"]
        #expect(values(report(groups(all), k: 20)) == sorted + [.null])
        for k in 1..<12 {
            let cut = report(groups(all), k: k)
            #expect(values(cut) == sorted.prefix(k) + [.null])
            #expect(cut["other"]?["values"] == .count(12 - k))
        }
    }

    @Test func rowsAddUpToTheWholeHoweverTheShardsAreSplit() throws {
        var random = SplitMix64(seed: 11)
        for _ in 0..<50 {
            var users: [(PropertyValue?, Int)] = []
            for _ in 0..<random.below(300) {
                let value: PropertyValue? = random.pick([
                    nil, .integer(Int64(random.below(30))), .string(ByteString("v\(random.below(20))")),
                ])
                users.append((value, 1 + random.below(2)))
            }
            func tally(_ users: [(PropertyValue?, Int)]) -> PartialResult {
                var result = PartialResult(steps: 2, times: false)
                var groups: [PropertyValue: [UInt64]] = [:]
                var absent: [UInt64] = [0, 0]
                for (value, depth) in users {
                    for i in 0..<depth {
                        result.counts[i] += 1
                        if let value { groups[value, default: [0, 0]][i] += 1 } else { absent[i] += 1 }
                    }
                }
                result.report = .breakdown(ValueGroups(absent: absent, groups))
                return result
            }
            let whole = tally(users)
            var merged = PartialResult(steps: 2, times: false)
            var shards: [[(PropertyValue?, Int)]] = [[], [], []]
            for user in users { shards[random.below(3)].append(user) }
            for shard in shards { merged.merge(tally(shard)) }
            guard case .breakdown(let one)? = whole.report, case .breakdown(let several)? = merged.report else {
                Issue.record("no groups")
                return
            }
            let k = 1 + random.below(12)
            let answer = report(several, k: k)
            #expect(answer == report(one, k: k))
            let parts = (answer["rows"]?.asArray ?? []) + [answer["other"] ?? .null]
            for i in 0..<2 {
                let sum = parts.reduce(Int64(0)) { $0 + ($1["steps"]?.asArray?[i]["count"]?.asInteger ?? 0) }
                #expect(sum == Int64(whole.counts[i]))
            }
            let sizes = (answer["rows"]?.asArray ?? []).dropLast().map { $0["entered"]?.asInteger ?? 0 }
            #expect(sizes == sizes.sorted(by: >))
        }
    }

    @Test func trendsAndSpansOfShardsAddUp() {
        func result(_ report: PartialResult.Report?) -> PartialResult {
            var result = PartialResult(steps: 2, times: false)
            result.report = report
            return result
        }
        var trend = result(.trend([[1, 0], [2, 2]]))
        trend.merge(result(.trend([[5, 4], [0, 0]])))
        #expect(trend.report == .trend([[6, 4], [2, 2]]))
        var span = result(nil)
        span.merge(result(.entrySpan(nil)))
        #expect(span.report == .entrySpan(nil))
        span.merge(result(.entrySpan(5...9)))
        span.merge(result(.entrySpan(nil)))
        span.merge(result(.entrySpan(2...6)))
        #expect(span.report == .entrySpan(2...9))
    }

    @Test func aTrendHasThisShapeAndSaysWhatIsImmature() throws {
        var definition = FunnelDefinition(steps: Self.steps + [.init("use")])
        definition.window = 86_400_000_000
        let query = try QueryRequest.parse(
            JSONParser.parse(Array(#"{"funnel": {"steps": ["view"]}, "trend": {"by": "day"}}"#.utf8)), now: 0)
        let request = try #require(query.trend)
        let bounds = try ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"].map {
            try Timestamp.parse(ByteString($0))
        }
        let counts: [[UInt64]] = [[4, 2, 1], [0, 0, 0]]
        func immature(_ asOf: ByteString, _ definition: FunnelDefinition) throws -> [JSONValue?] {
            let report = TrendReport(request, definition, asOf: try Timestamp.parse(asOf), bounds: bounds, counts: counts)
            return (report.json["buckets"]?.asArray ?? []).map { $0["immature"] }
        }
        let report = TrendReport(request, definition, asOf: 1 << 59, bounds: bounds, counts: counts).json
        #expect(report["by"] == "day" && report["time_zone"] == "UTC")
        #expect(report["note"] == "buckets are separate funnels and need not add up")
        let buckets = try #require(report["buckets"]?.asArray)
        #expect(
            buckets[0] == [
                "start": "2024-03-01T00:00:00Z", "end": "2024-03-02T00:00:00Z", "immature": false, "entered": 4, "converted": 1,
                "conversion": 0.25,
                "steps": [
                    ["step": "view", "index": 1, "count": 4], ["step": "buy", "index": 2, "count": 2],
                    ["step": "use", "index": 3, "count": 1],
                ],
            ])
        #expect(buckets[1]["entered"] == 0 && buckets[1]["conversion"] == .null)
        #expect(try immature("2024-03-03T00:00:00Z", definition) == [false, true])
        #expect(try immature("2024-03-02T23:59:59Z", definition) == [true, true])
        #expect(try immature("2024-03-04T00:00:00Z", definition) == [false, false])
        definition.anchor = .previousStep
        #expect(try immature("2024-03-04T00:00:00Z", definition) == [false, true])
        #expect(try immature("2024-03-03T23:59:59Z", definition) == [true, true])
    }
}
