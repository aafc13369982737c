import CoordinatorService
import FunnelModel
import Testing

/// Requests and answers of paths and predictors.
struct PathsReportTests {
    private static let definition = FunnelDefinition(steps: [.init("a"), .init("b"), .init("c")])

    private func document(_ more: String) throws -> JSONValue {
        try JSONParser.parse(Array((#"{"funnel": {"steps": ["a", "b", "c"]}"# + (more.isEmpty ? "" : ", " + more) + "}").utf8))
    }

    private func paths(_ more: String, _ definition: FunnelDefinition = definition) throws -> PathQuestion {
        try PathsRequest.parse(document(more), now: 1_700_000_000_000_000).question(for: definition)
    }

    private func predictors(_ more: String, _ definition: FunnelDefinition = definition) throws -> PredictorQuestion {
        try PredictorsRequest.parse(document(more), now: 1_700_000_000_000_000).question(for: definition)
    }

    private func faults(_ body: () throws -> Void) -> [String] {
        do {
            try body()
            return []
        } catch let document as InvalidDocument {
            return document.faults.map(\.field)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func readsPaths() throws {
        #expect(try paths(#""from": {"dropped": 2}"#) == PathQuestion(.dropped(2), length: 3))
        #expect(try paths(#""from": {"dropped": "c"}, "length": 5, "k": 100"#) == PathQuestion(.dropped(3), length: 5))
        #expect(
            try paths(#""from": {"between": [1, "c"]}, "events": ["x", "y"]"#)
                == PathQuestion(.between(1, 3), length: 3, events: .only(["x", "y"])))
        #expect(
            try paths(#""from": {"between": ["b", 3]}, "exclude_events": ["x"], "length": 1"#)
                == PathQuestion(.between(2, 3), length: 1, events: .except(["x"])))
    }

    @Test(arguments: [
        ("", "from"), (#""from": "b""#, "from"), (#""from": {}"#, "from.dropped"), (#""from": {"dropped": 0}"#, "from.dropped"),
        (#""from": {"dropped": 1}"#, "from.dropped"), (#""from": {"dropped": 4}"#, "from.dropped"),
        (#""from": {"dropped": "x"}"#, "from.dropped"),
        (#""from": {"dropped": true}"#, "from.dropped"), (#""from": {"after": 2}"#, "from.after"),
        (#""from": {"dropped": 2, "between": [1, 2]}"#, "from.between"), (#""from": {"between": [1]}"#, "from.between"),
        (#""from": {"between": 1}"#, "from.between"), (#""from": {"between": [1, 2, 3]}"#, "from.between"),
        (#""from": {"between": [1, null]}"#, "from.between"), (#""from": {"between": [2, 2]}"#, "from.between"),
        (#""from": {"between": ["c", "a"]}"#, "from.between"), (#""from": {"between": [1, 4]}"#, "from.between"),
        (#""from": {"dropped": 2}, "length": 0"#, "length"), (#""from": {"dropped": 2}, "length": 6"#, "length"),
        (#""from": {"dropped": 2}, "k": 0"#, "k"), (#""from": {"dropped": 2}, "k": 101"#, "k"),
        (#""from": {"dropped": 2}, "events": []"#, "events"), (#""from": {"dropped": 2}, "events": "x""#, "events"),
        (#""from": {"dropped": 2}, "events": [""]"#, "events"), (#""from": {"dropped": 2}, "exclude_events": [1]"#, "exclude_events"),
        (#""from": {"dropped": 2}, "events": ["x"], "exclude_events": ["y"]"#, "exclude_events"),
        (#""from": {"dropped": 2}, "step": 2"#, "step"), (#""from": {"dropped": 2}, "trend": {"by": "day"}"#, "trend"),
        (#""from": {"dropped": 2}, "breakdown": {"property": "p"}"#, "breakdown"),
    ])
    func pathsNameTheFieldAtFault(text: String, field: String) {
        #expect(faults { _ = try paths(text) } == [field])
    }

    @Test func pathsKnowTheRulesOfTheFunnel() throws {
        var definition = Self.definition
        definition.steps[1].isOptional = true
        #expect(faults { _ = try paths(#""from": {"dropped": 2}"#, definition) } == ["from.dropped"])
        #expect(try paths(#""from": {"dropped": 3}"#, definition).origin == .dropped(3))
        definition.countBy = .sessions
        #expect(faults { _ = try paths(#""from": {"dropped": 3}"#, definition) } == ["count_by"])
        #expect(faults { _ = try predictors("", definition) } == ["count_by"])
    }

    @Test func readsPredictors() throws {
        #expect(try predictors("") == PredictorQuestion(step: 3, of: 2, properties: true))
        #expect(try predictors(#""step": "b", "properties": false"#) == PredictorQuestion(step: 2, of: 1, properties: false))
        #expect(try predictors(#""of": "a", "k": 1000, "min_users": 1"#) == PredictorQuestion(step: 3, of: 1, properties: true))
        var definition = Self.definition
        definition.steps[1].isOptional = true
        #expect(try predictors("", definition) == PredictorQuestion(step: 3, of: 1, properties: true))
    }

    @Test(arguments: [
        (#""step": 1"#, "step"), (#""step": 0"#, "step"), (#""step": 4"#, "step"), (#""step": "x""#, "step"), (#""step": []"#, "step"),
        (#""of": 3"#, "of"), (#""step": 2, "of": 2"#, "of"), (#""of": "x""#, "of"), (#""k": 1001"#, "k"), (#""min_users": 0"#, "min_users"),
        (#""properties": "plan""#, "properties"), (#""length": 3"#, "length"), (#""trend": {"by": "day"}"#, "trend"),
    ])
    func predictorsNameTheFieldAtFault(text: String, field: String) {
        #expect(faults { _ = try predictors(text) } == [field])
    }

    // MARK: - Answers

    @Test func pathsAddUp() throws {
        var counts = PathCounts()
        counts.users = [[]: 3, ["x"]: 4, ["x", "y"]: 3, ["y"]: 3, ["z", "x"]: 1]
        func answer(_ rows: Int) -> JSONValue { .object(PathsReport(PathQuestion(.dropped(2), length: 2), counts, rows: rows).json) }
        let whole = answer(20)
        #expect(whole["users"] == 14 && whole["other"] == .null && whole["next_other"] == .null)
        #expect(whole["from"] == ["dropped": 2] && whole["events"] == .null)
        #expect(whole["paths"]?.asArray?.map { $0["events"] } == [["x"], [], ["x", "y"], ["y"], ["z", "x"]])
        #expect(whole["paths"]?.asArray?.first?["share"] == .double(4.0 / 14))
        #expect(whole["next"]?.asArray?.map { $0["event"] } == ["x", "y", "z", .null])
        #expect(whole["next"]?.asArray?.map { $0["users"] } == [7, 3, 1, 3])
        let cut = answer(2)
        #expect(cut["paths"]?.asArray?.count == 2 && cut["other"] == ["paths": 3, "users": 7])
        #expect(cut["next"]?.asArray?.map { $0["event"] } == ["x", "y", .null] && cut["next_other"] == ["events": 1, "users": 1])
        let nobody = JSONValue.object(PathsReport(PathQuestion(.between(1, 2), length: 2), PathCounts(), rows: 5).json)
        #expect(nobody["users"] == 0 && nobody["paths"] == [] && nobody["from"] == ["between": [1, 2]])
        #expect(nobody["next"] == [["event": .null, "users": 0, "share": .null]])
    }

    @Test func predictorsAreInOrderOfTheirEvidence() throws {
        var counts = PredictorCounts()
        counts.whole = .init(200, converted: 100)
        counts.events = [
            "bad": .init(80, converted: 20), "good": .init(50, converted: 45), "none": .init(100, converted: 50),
            "always": .init(60, converted: 60), "rare": .init(9, converted: 9), "everyone": .init(200, converted: 100),
        ]
        counts.properties = ["plan": [.string("pro"): .init(50, converted: 45), .integer(1): .init(3, converted: 1)]]
        counts.leftOut = ["url", "id"]
        let question = PredictorQuestion(step: 2, of: 1, properties: true)
        let answer = JSONValue.object(PredictorsReport(question, counts, usersMin: 10, rows: 20).json)
        let rows = try #require(answer["predictors"]?.asArray)
        #expect(rows.map { $0["event"] ?? $0["value"] } == ["always", "good", "pro", "bad", "none", "everyone"])
        #expect(answer["tested"] == 6 && answer["left_out"] == ["id", "url"] && answer["conversion"] == 0.5)
        #expect(rows.map { $0["direction"] } == ["up", "up", "up", "down", .null, .null])
        #expect(rows[0]["with"] == ["users": 60, "converted": 60, "conversion": .double(1)])
        #expect(rows[0]["without"]?["users"] == 140 && rows[0]["without"]?["converted"] == 40)
        // 45 of 50 against 55 of 150.
        #expect(abs((rows[1]["lift"]?.asDouble ?? 0) - (0.9 / (55.0 / 150) - 1)) < 1e-12)
        let interval = rows[1]["lift_ci"]?.asArray?.compactMap(\.asDouble) ?? []
        #expect(interval.count == 2 && interval[0] < 1.4545 && interval[1] > 1.4545)
        let (p, q) = (rows.map { $0["p_value"]?.asDouble }, rows.map { $0["q_value"]?.asDouble })
        #expect(p[5] == nil && q[5] == nil && rows[5]["lift"] == .null && rows[5]["method"] == .null)
        // Benjamini and Hochberg over the five that can be tested: the fourth of them times 5/4.
        #expect(abs((q[3] ?? 0) - (p[3] ?? 1) * 5 / 4) < 1e-18 && q[4] == p[4])
        #expect(rows[1]["property"] == nil && rows[2]["property"] == "plan")
        let cut = JSONValue.object(PredictorsReport(question, counts, usersMin: 1, rows: 2).json)
        #expect(cut["predictors"]?.asArray?.count == 2 && cut["tested"] == 8)
        let nobody = JSONValue.object(PredictorsReport(question, PredictorCounts(), usersMin: 1, rows: 2).json)
        #expect(nobody["conversion"] == .null && nobody["predictors"] == [])
    }
}
