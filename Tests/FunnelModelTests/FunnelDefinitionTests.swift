import FunnelModel
import Testing

struct FunnelDefinitionTests {
    private func parse(_ text: String) throws -> FunnelDefinition {
        try FunnelDefinition.parse(JSONParser.parse(Array(text.utf8)))
    }

    private func faults(_ text: String) -> [String] {
        do {
            _ = try parse(text)
            return []
        } catch let error as InvalidDocument {
            return error.faults.map(\.field)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func seedConfigurationIsValid() throws {
        let definition = try parse(
            #"""
            {"funnel_id": "shop", "steps": ["awareness", "consideration", "purchase"],
             "event_types": {"page_view": "awareness", "click_button": "consideration"},
             "probability": {"awareness": 0.2}, "window_duration": "30d",
             "conversion_order": {"flexible": {"limit": "1h"}}}
            """#)
        #expect(definition.order == .flexible(limit: 3_600_000_000))
        #expect(definition.probability == [0.2, 0.5, 0.5])
        #expect(try FunnelDefinition.parse(definition.json) == definition)
    }

    @Test func everyFaultIsNamedAtOnce() {
        let found = faults(
            #"{"steps": ["", {"name": "b", "optional": true}], "window_duration": "30", "entry": "last", "x": 1, "event_types": {"e": "nope"}}"#
        )
        #expect(Set(found) == ["steps[0]", "steps[1].optional", "window_duration", "entry", "x", "event_types.e"])
    }

    @Test(arguments: [
        (#"{"steps": []}"#, "steps"), (#"{}"#, "steps"), (#"{"steps": ["a"], "window_duration": "367d"}"#, "window_duration"),
        (#"{"steps": ["a"], "window_duration": "500ms"}"#, "window_duration"),
        (#"{"steps": ["a"], "conversion_order": {"flexible": {"limit": "25h"}}}"#, "conversion_order.flexible.limit"),
        (#"{"steps": ["a"], "conversion_order": "loose"}"#, "conversion_order"),
        (#"{"steps": ["a"], "probability": {"b": 0.1}}"#, "probability.b"), (#"{"steps": ["a"], "probability": 2}"#, "probability"),
        (#"{"steps": ["a"], "funnel_id": "a b"}"#, "funnel_id"), (#"{"steps": ["a"], "steps": ["b"]}"#, "steps"),
        (#"{"steps": [{"name": "a", "where": [{"property": "p", "op": "~", "value": 1}]}]}"#, "steps[0].where[0].op"),
    ])
    func refuses(text: String, field: String) {
        #expect(faults(text).contains(field))
    }

    /// What is taken must be readable again: shards and the catalogue read the effective definition.
    @Test(arguments: Preset.allCases, FunnelDefinition.Clock.allCases)
    func everyPresetWithEveryClockIsRefusedOrReadsBack(preset: Preset, clock: FunnelDefinition.Clock) throws {
        let text = #"{"steps": ["a", "b"], "preset": "\#(preset.rawValue)", "clock": "\#(clock.rawValue)"}"#
        guard let definition = try? parse(text) else {
            #expect(faults(text) == ["clock"])
            return
        }
        #expect(try FunnelDefinition.parse(definition.json) == definition)
    }

    @Test func sixtyFourStepsAreTheMost() {
        func list(_ n: Int) -> String { "{\"steps\": [" + (0..<n).map { "\"s\($0)\"" }.joined(separator: ",") + "]}" }
        #expect(faults(list(64)) == [])
        #expect(faults(list(65)) == ["steps"])
    }

    @Test(arguments: [
        (PropertyValue.integer(9_007_199_254_740_993), PropertyValue.double(9_007_199_254_740_992), 1),
        (.integer(1), .double(1.5), -1), (.double(2), .integer(2), 0), (.double(-0.5), .integer(0), -1),
    ])
    func integersAndDoublesCompareExactly(a: PropertyValue, b: PropertyValue, order: Int) {
        #expect(a.order(against: b) == order)
    }

    @Test func absentSatisfiesOnlyTheNegativeConditions() {
        for comparison in Predicate.Comparison.allCases {
            let filter = Predicate(property: "p", comparison: comparison, values: [.string("x")])
            #expect(filter.accepts(nil) == [.notEqual, .notIn, .notExists].contains(comparison))
        }
    }
}
