import CoordinatorService
import FunnelModel
import Testing

/// Segments, cohorts, periods, variants and units of a query, as they are read.
struct QueryPartsTests {
    private func parse(_ more: String, funnel: String = #""funnel": {"steps": ["a", "b"]}"#) throws -> QueryRequest {
        let parts = [funnel, more].filter { !$0.isEmpty }.joined(separator: ", ")
        return try QueryRequest.parse(JSONParser.parse(Array("{\(parts)}".utf8)), now: 1_700_000_000_000_000)
    }

    private func faults(_ more: String, funnel: String = #""funnel": {"steps": ["a", "b"]}"#) -> [String] {
        do {
            _ = try parse(more, funnel: funnel)
            return []
        } catch let document as InvalidDocument {
            return document.faults.map(\.field)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func readsSegments() throws {
        let segments = try parse(
            #"""
            "segments": [{"name": "pro", "where": [{"property": "plan", "op": "=", "value": "pro"}, {"property": "user.age", "op": ">", "value": 3}]},
              {"name": "lost", "cohort": {"dropped": {"funnel_id": "shop", "step": "Buy"}}}]
            """#
        ).segments
        #expect(segments.map(\.name) == ["pro", "lost"])
        #expect(segments[0].filters.count == 2 && segments[0].cohort == nil)
        #expect(segments[1].filters.isEmpty && segments[1].cohort?.outcome == .dropped && segments[1].cohort?.funnelID == "shop")
        #expect(try parse(#""cohort": {"reached": {"funnel_id": "shop", "step": 2}}"#).cohort?.outcome == .reached)
        #expect(try parse("").segments.isEmpty)
    }

    @Test func aSegmentNarrowsStepOne() throws {
        let segment = try #require(try parse(#""segments": [{"name": "s", "where": [{"property": "p", "op": "exists"}]}]"#).segments.first)
        var funnel = FunnelDefinition(steps: [.init("a"), .init("b")])
        let condition = Predicate(property: "q", comparison: .exists, values: [])
        funnel.steps[0].filters = [condition]
        let narrowed = try segment.narrowing(funnel, field: "segments[0].where")
        #expect(narrowed.steps[0].filters == [condition] + segment.filters && narrowed.steps[1] == funnel.steps[1])
        funnel.steps[0].filters = Array(repeating: condition, count: Limits.filtersPerStep)
        #expect(throws: InvalidDocument.self) { try segment.narrowing(funnel, field: "segments[0].where") }
    }

    @Test func aCohortIsOfUsersAndOfAStepThatThereIs() throws {
        func cohort(_ kind: String, _ step: String) throws -> CohortRequest {
            try #require(try parse(#""cohort": {"\#(kind)": {"funnel_id": "f", "step": \#(step)}}"#).cohort)
        }
        var saved = FunnelDefinition(id: "f", steps: [.init("a"), .init("b"), .init("c")])
        saved.steps[1].isOptional = true
        saved.countBy = .attempts
        let made = try cohort("dropped", #""c""#).cohort(of: saved)
        #expect(made.step == 3 && made.outcome == .dropped && made.definition.countBy == .users && made.definition.id == "f")
        #expect(try cohort("reached", "2").cohort(of: saved).step == 2)
        for (kind, step) in [("dropped", "1"), ("dropped", "2"), ("reached", "4"), ("reached", #""d""#)] {
            do {
                _ = try cohort(kind, step).cohort(of: saved)
                Issue.record("\(kind) \(step) was taken")
            } catch let error as InvalidDocument {
                #expect(error.faults.map(\.field) == ["cohort.\(kind).step"])
            }
        }
    }

    @Test func comparesWithAsManyDaysBefore() throws {
        func previous(_ more: String) throws -> [String] {
            let range = try #require(try parse(#""compare": "previous_period", "# + more).previous)
            return [range.lowerBound, range.upperBound].map(Timestamp.format)
        }
        #expect(try previous(#""start": "2024-03-01", "end": "2024-03-31""#) == ["2024-01-30T00:00:00Z", "2024-03-01T00:00:00Z"])
        // Clocks went forward on 31 March: the week has 167 hours, the one before 168.
        #expect(
            try previous(#""start": "2024-03-25", "end": "2024-03-31", "time_zone": "Europe/Berlin""#)
                == ["2024-03-17T23:00:00Z", "2024-03-24T23:00:00Z"])
        #expect(
            try previous(#""start": "2024-04-01", "end": "2024-04-01", "time_zone": "Europe/Berlin""#)
                == ["2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"])
        #expect(
            try previous(#""start": "2024-03-02T12:00:00Z", "end": "2024-03-03T13:00:00.5Z""#)
                == ["2024-03-01T10:59:59.500000Z", "2024-03-02T12:00:00Z"].map { try Timestamp.format(Timestamp.parse(ByteString($0))) })
        #expect(
            try previous(#""start": "2024-03-02T12:00:00Z", "end": "2024-03-02""#) == ["2024-03-02T00:00:00Z", "2024-03-02T12:00:00Z"])
    }

    @Test func readsVariants() throws {
        guard case .property(let plain)? = try parse(#""variants": {"property": "v"}"#).variants else {
            Issue.record("no property")
            return
        }
        #expect(plain.split == VariantSplit(property: "v", exposure: .first) && plain.control == nil && plain.expected == nil)
        let text = #""variants": {"property": "v", "touch": "last", "control": 1.0, "expected": {"1": 2, "b": 1}}"#
        guard case .property(let full)? = try parse(text).variants else {
            Issue.record("no property")
            return
        }
        #expect(full.split.exposure == .attempt(.last) && full.control == .integer(1))
        #expect(full.expected?.map(\.value) == ["1", "b"] && full.expected?.map(\.share) == [2, 1])
        for (text, exposure) in [
            (#""exposure": "first""#, .first), (#""exposure": "attempt""#, .attempt(.step(1))),
            (#""exposure": "attempt", "touch": "step:1""#, .attempt(.step(1))), (#""touch": "first""#, .attempt(.first)),
        ] as [(String, VariantSplit.Exposure)] {
            guard case .property(let read)? = try parse(#""variants": {"property": "v", \#(text)}"#).variants else {
                Issue.record("no property")
                continue
            }
            #expect(read.split.exposure == exposure, "\(text)")
        }
        let two = #""variants": {"funnels": [{"name": "x", "funnel": {"steps": ["a"]}}, {"name": "y", "funnel_id": "f"}]}"#
        guard case .funnels(let funnels)? = try parse(two, funnel: "").variants else {
            Issue.record("no funnels")
            return
        }
        #expect(funnels.map(\.name) == ["x", "y"])
    }

    @Test func readsWhatIsCounted() throws {
        #expect(try parse(#""count_by": "sessions", "session_gap": "1h""#).countBy == .sessions)
        #expect(try parse(#""count_by": "property:room""#).countBy == .property("room"))
        #expect(try parse(#""session_gap": "1h""#).sessionGap == 3_600_000_000)
    }

    private static let condition = #"{"property": "p", "op": "exists"}"#

    @Test(arguments: [
        (#""segments": {}"#, ["segments"]), (#""segments": []"#, ["segments"]),
        ("\"segments\": [" + Array(repeating: #"{"name": "s"}"#, count: 11).joined(separator: ",") + "]", ["segments"]),
        (#""segments": [{"where": [\#(condition)]}]"#, ["segments[0].name"]), (#""segments": [{"name": "s"}]"#, ["segments[0].where"]),
        (#""segments": [{"name": "", "where": [\#(condition)]}]"#, ["segments[0].name"]),
        (#""segments": [{"name": "s", "where": [\#(condition)]}, {"name": "s", "where": [\#(condition)]}]"#, ["segments[1].name"]),
        (#""segments": [{"name": "s", "where": [{"property": "p", "op": "~"}]}]"#, ["segments[0].where[0].op"]),
        (#""segments": [{"name": "s", "where": [\#(condition)], "filter": 1}]"#, ["segments[0].filter"]),
        (#""segments": [{"name": "s", "cohort": {}}]"#, ["segments[0].cohort"]),
        (#""segments": [{"name": "s", "cohort": {"reached": {"step": 1}}}]"#, ["segments[0].cohort.reached.funnel_id"]),
        (#""cohort": {"reached": {"funnel_id": "f"}}"#, ["cohort.reached.step"]),
        (#""cohort": {"reached": {"funnel_id": "f", "step": 0}}"#, ["cohort.reached.step"]),
        (#""cohort": {"reached": {"funnel_id": "f", "step": 1, "start": 1}}"#, ["cohort.reached.start"]),
        (#""cohort": {"converted": {"funnel_id": "f", "step": 1}}"#, ["cohort.converted"]),
        (#""cohort": {"reached": {"funnel_id": "f", "step": 1}, "dropped": {"funnel_id": "f", "step": 2}}"#, ["cohort"]),
        (#""cohort": "f""#, ["cohort"]), (#""compare": "previous_period""#, ["compare"]),
        (#""compare": "previous_period", "start": "2024-01-01""#, ["compare"]), (#""compare": "last_year""#, ["compare"]),
        (#""compare": "previous_period", "start": "2024-01-01", "end": "x""#, ["end"]),
        (#""variants": {}"#, ["variants.property"]), (#""variants": "p""#, ["variants"]),
        (#""variants": {"property": "p", "touch": "step:0"}"#, ["variants.touch"]),
        (#""variants": {"property": "p", "control": ["a"]}"#, ["variants.control"]),
        (#""variants": {"property": "p", "exposure": "last"}"#, ["variants.exposure"]),
        (#""variants": {"property": "p", "exposure": "first", "touch": "first"}"#, ["variants.touch"]),
        (#""variants": {"property": "p", "expected": {"a": 1}}"#, ["variants.expected"]),
        (#""variants": {"property": "p", "expected": {"a": 1, "b": 0}}"#, ["variants.expected.b"]),
        (#""variants": {"property": "p", "k": 3}"#, ["variants.k"]),
        (#""variants": {"property": "p"}, "breakdown": {"property": "p"}"#, ["variants"]),
        (#""variants": {"property": "p"}, "trend": {"by": "day"}"#, ["variants"]),
        (#""count_by": "events""#, ["count_by"]), (#""session_gap": "soon""#, ["session_gap"]), (#""segment": []"#, ["segment"]),
    ])
    func namesTheFieldAtFault(text: String, fields: [String]) {
        #expect(faults(text) == fields)
    }

    @Test func twoFunnelsStandInForTheQuerysOwn() {
        let a = #"{"name": "x", "funnel": {"steps": ["a"]}}"#
        let b = #"{"name": "y", "funnel": {"steps": ["a"], "window_duration": "1y"}}"#
        #expect(faults(#""variants": {"funnels": [\#(a), \#(a)]}"#) == ["variants.funnels[1].name", "funnel"])
        #expect(faults(#""variants": {"funnels": [\#(a)]}"#, funnel: "") == ["variants.funnels"])
        #expect(faults(#""variants": {"funnels": [\#(a), \#(b)]}"#, funnel: "") == ["variants.funnels[1].funnel.window_duration"])
        #expect(faults(#""variants": {"funnels": [\#(a), {"name": "z"}]}"#, funnel: "") == ["variants.funnels[1].funnel"])
        #expect(faults(#""variants": {"funnels": [\#(a), \#(a)], "property": "p"}"#, funnel: "").contains("variants.property"))
    }
}
