import EventRules
import FunnelModel
import Testing

/// Limits of rules, and documents and events that are made to cost much.
struct RuleLimitTests {
    private func faults(_ rules: [String]) -> [String] { RuleParseTests.faults("{\"rules\":[\(rules.joined(separator: ","))]}") }

    private func name(_ bytes: Int) -> String { String(repeating: "a", count: bytes) }

    @Test func numbersOfRulesAndNames() {
        let drops = (0..<10_000).map { "{\"drop_events\":[\"e\($0)\"]}" }
        #expect(faults(Array(drops.prefix(RuleLimits.rules))) == [])
        #expect(faults(Array(drops.prefix(RuleLimits.rules + 1))) == ["rules: has 1001 rules; the limit is 1000"])
        #expect(faults(drops) == ["rules: has 10000 rules; the limit is 1000"])
        let names = (0..<10_001).map { "\"e\($0)\"" }
        #expect(faults(["{\"drop_events\":[\(names.dropLast().joined(separator: ","))]}"]) == [])
        #expect(
            faults(["{\"drop_events\":[\(names.joined(separator: ","))]}"])
                == ["rules: have 10001 names, and pairs of a property and an event; the limit is 10000"])
        // Pairs count, not names.
        let pairs = names.prefix(101).joined(separator: ",")
        let fewer = names.prefix(99).joined(separator: ",")
        #expect(faults(["{\"drop_properties\":[\(pairs)],\"events\":[\(fewer)]}"]) == [])
        #expect(
            faults(["{\"drop_properties\":[\(pairs)],\"events\":[\(fewer),\"x\",\"y\"]}"])
                == ["rules: have 10201 names, and pairs of a property and an event; the limit is 10000"])
        let defaults = (0..<33).map { "{\"default_property\":\"p\($0)\",\"value\":\($0)}" }
        #expect(faults(Array(defaults.prefix(32))) == [])
        #expect(faults(defaults) == ["rules: have 33 rules default_property; the limit is 32"])
    }

    @Test func lengths() {
        #expect(faults(["{\"rename_events\":[\"\(name(256))\"],\"to\":\"b\"}"]) == [])
        #expect(
            faults(["{\"rename_events\":[\"\(name(257))\"],\"to\":\"\(name(300))\"}"])
                == ["rules[0].rename_events[0]: has 257 bytes; the limit is 256", "rules[0].to: has 300 bytes; the limit is 256"])
        #expect(
            faults(["{\"replace_prefix\":\"\(name(257))\",\"with\":\"\"}"]) == ["rules[0].replace_prefix: has 257 bytes; the limit is 256"])
        #expect(faults(["{\"drop_properties\":[\"\(name(257))\"]}"]) == ["rules[0].drop_properties[0]: has 257 bytes; the limit is 256"])
        #expect(faults(["{\"default_property\":\"a\",\"value\":\"\(name(1_024))\"}"]) == [])
        #expect(
            faults(["{\"default_property\":\"a\",\"value\":\"\(name(1_025))\"}"]) == ["rules[0].value: has 1025 bytes; the limit is 1024"])
    }

    @Test func bytesOfADocument() throws {
        let names = (0..<2_000).map { "\"\($0)\(name(140))\"" }.joined(separator: ",")
        let text = "{\"rules\":[{\"drop_events\":[\(names)]}]}"
        #expect(RuleParseTests.faults(text) == ["rules: take \(text.utf8.count) bytes as JSON; the limit is 262144"])
        // YAML that was parsed before is measured as JSON.
        let document = try JSONParser.parse(Array(text.utf8))
        let error = try #require(throws: InvalidDocument.self) { try RuleList.parse(document) }
        #expect(error.faults == [FieldFault("rules", "take \(text.utf8.count) bytes as JSON; the limit is 262144")])
    }

    @Test func faultsAreNotListedWithoutEnd() {
        let faults = faults(Array(repeating: "{\"to\":1,\"why\":2}", count: 1_000))
        #expect(faults.count == RuleLimits.faults + 1)
        #expect(faults.last == "rules: more faults are not listed; correct these first")
        let names = self.faults(["{\"drop_events\":[\(Array(repeating: "7", count: 100_000).joined(separator: ","))]}"])
        #expect(names.count == RuleLimits.faults + 1)
        let members = (0..<20_000).map { "\"m\($0)\":1" }.joined(separator: ",")
        #expect(self.faults(["{\"drop_events\":[\"a\"],\(members)}"]).count == RuleLimits.faults + 1)
    }

    @Test func deepDocumentsAreFaults() {
        for open in ["[", "{\"rules\":", "{\"rules\":["] {
            let faults = RuleParseTests.faults(String(repeating: open, count: 20_000))
            #expect(faults.count == 1 && faults[0].contains("nested deeper than 64"), "\(faults)")
        }
        let value = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(faults(["{\"default_property\":\"a\",\"value\":\(value)}"]).count == 1)
    }

    /// Each prefix is the beginning of the next.
    @Test func nestedPrefixes() throws {
        let prefixes = (1...256).map(name)
        let names = prefixes.map { "\"\($0)\"" }.joined(separator: ",")
        let tables = try RuledEvents.tables(
            "[{\"drop_events\":[\(names)],\"match\":\"prefix\"},{\"replace_prefix\":\"\(name(256))\",\"with\":\"b\"}]")
        let events = try (prefixes + ["b", name(255) + "b"]).map { try RuledEvents.event($0) }
        let ruled = tables.apply(to: EventBatchBuilder(events).finish())
        #expect(ruled.batch.events.map(\.name.string) == ["b", "b"])
        #expect(ruled.dropped.count == 256)
        #expect(ruled.changed == [255])
    }

    @Test func manyRulesAndManyNames() throws {
        let renames = (0..<900).map { i in
            let names = (0..<10).map { "\"name \(i) \($0)\"" }.joined(separator: ",")
            return "{\"rename_events\":[\(names)],\"match\":\"\(["exact", "any_case", "prefix"][i % 3])\",\"to\":\"to \(i)\"}"
        }
        let tables = try RuledEvents.tables("[\(renames.joined(separator: ","))]")
        let events = (0..<20_000).map { Event(user: "u", name: ByteString("NAME \($0 % 1_000) \($0 % 10)"), time: 1) }
        let names = tables.apply(to: EventBatchBuilder(events).finish()).batch.events.map(\.name)
        for (i, name) in names.enumerated() {
            let place = i % 1_000
            #expect(name == (place < 900 && place % 3 == 1 ? ByteString("to \(place)") : events[i].name))
        }
    }

    // MARK: - Events that outgrow a limit

    @Test func anEventMayNotOutgrowItsLimits() throws {
        let many = "{" + (0..<255).map { "\"p\($0)\":1" }.joined(separator: ",") + "}"
        let one = #"[{"default_property":"x","value":1}]"#
        let two = #"[{"default_property":"x","value":1},{"default_property":"y","value":1}]"#
        #expect(try RuledEvents.one(one, "e", many).contains("\"x\":1"))
        #expect(try RuledEvents.one(two, "e", many) == "rejected: properties: are 257 after the rules; the limit is 256")
        let value = String(repeating: "a", count: 8_000)
        let large = "{" + (0..<4).map { "\"p\($0)\":\"\(value)\"" }.joined(separator: ",") + "}"
        let text = "[{\"default_property\":\"x\",\"value\":\"\(name(760))\"}]"
        #expect(try RuledEvents.one(text, "e", large) == "rejected: properties: take 32769 bytes after the rules; the limit is 32768")
        #expect(try RuledEvents.one("[{\"default_property\":\"x\",\"value\":\"\(name(759))\"}]", "e", large).count > 32_000)
        #expect(try RuledEvents.one("[{\"rename_properties\":[\"p0\"],\"to\":\"\(name(256))\"}]", "e", large).count > 32_000)
    }
}
