import EventRules
import FunnelModel
import Testing

/// Batches: columns, rows and tables.
struct RuleBatchTests {
    private static let all = """
        [{"rename_events":["sign_up"],"to":"Signup"},{"drop_events":["ping"]},{"rename_properties":["Plan"],"to":"plan"},
         {"drop_properties":["password"]},{"cast_properties":["n"],"to":"integer","otherwise":"reject"},
         {"default_property":"plan","value":"free","events":["Signup"]}]
        """

    private func batch(_ events: [Event]) -> EventBatch { EventBatchBuilder(events).finish() }

    @Test func withoutRulesABatchStaysAsItIs() throws {
        let events = try [RuledEvents.event("a", #"{"x":"1"}"#), RuledEvents.event("b"), RuledEvents.event("a", user: "v")]
        let before = batch(events)
        for rules in ["[]", #"[{"missing_timestamp":["events"],"to":"server_time"}]"#, Self.all] {
            let ruled = try RuledEvents.tables(rules).apply(to: before)
            #expect(ruled.batch == before)
            #expect(ruled.rows == [0, 1, 2])
            #expect(ruled.dropped.isEmpty && ruled.rejected.isEmpty && ruled.changed.isEmpty)
        }
        #expect(try RuledEvents.tables(Self.all).apply(to: EventBatch()).batch == EventBatch())
    }

    @Test func rowsOfABatch() throws {
        let events = try [
            RuledEvents.event("x", #"{"a":1}"#, id: "0"), RuledEvents.event("ping", id: "1"), RuledEvents.event("sign_up", id: "2"),
            RuledEvents.event("x", #"{"n":"no"}"#, id: "3"), RuledEvents.event("x", #"{"n":"3"}"#, id: "4"),
            RuledEvents.event("x", #"{"Plan":"pro","password":"secret"}"#, user: "v", id: "5"), RuledEvents.event("ping", id: "6"),
        ]
        let ruled = try RuledEvents.tables(Self.all).apply(to: batch(events))
        #expect(
            ruled.batch.events.map { "\($0.id) \(RuledEvents.text($0))" } == [
                #"0 x {"a":1}"#, #"2 Signup {"plan":"free"}"#, #"4 x {"n":3}"#, #"5 x {"plan":"pro"}"#,
            ])
        #expect(ruled.rows == [0, 2, 4, 5])
        #expect(ruled.dropped.map { [$0.row, $0.rule] } == [[1, 1], [6, 1]])
        #expect(ruled.rejected.map(\.row) == [3])
        #expect(ruled.rejected.first?.fault == EventFault("properties.n", "is no integer (rules[4])"))
        #expect(ruled.changed == [2, 4, 5])
        // Users, ids and times are those of the client.
        for (row, before) in ruled.rows.enumerated() {
            let event = ruled.batch.event(row)
            #expect(event.user == events[before].user && event.id == events[before].id && event.time == events[before].time)
        }
    }

    /// A shard writes the tables of a batch to its log.
    @Test func whatIsDroppedLeavesTheTables() throws {
        let events = try [
            RuledEvents.event("x", #"{"password":"secret","a":"kept"}"#), RuledEvents.event("ping", #"{"only here":"secret too"}"#),
            RuledEvents.event("x", #"{"n":"no secret"}"#),
        ]
        let ruled = try RuledEvents.tables(Self.all).apply(to: batch(events)).batch
        #expect(Set((0..<ruled.strings.count).map { ruled.strings[$0] }) == ["kept"])
        #expect(Set((0..<ruled.keys.count).map { ruled.keys[$0] }) == ["a"])
        #expect(Set((0..<ruled.names.count).map { ruled.names[$0] }) == ["x"])
        let all = try RuledEvents.tables(#"[{"drop_events":["x"]}]"#).apply(to: batch([events[0]]))
        #expect(all.batch.count == 0 && all.batch.strings.count == 0 && all.rows.isEmpty)
    }

    @Test func mergedNamesHaveOneCode() throws {
        let events = try ["sign_up", "Signup", "sign_up", "x"].map { try RuledEvents.event($0) }
        let ruled = try RuledEvents.tables(Self.all).apply(to: batch(events))
        #expect(ruled.batch.names.count == 2)
        #expect(ruled.batch.name[0] == ruled.batch.name[1] && ruled.batch.name[1] == ruled.batch.name[2])
        #expect(ruled.changed == [0, 1, 2])
    }

    @Test func rowsOfClaimsAndServerTimesStay() throws {
        let claims = Claim.Kind.allCases.map {
            Claim(kind: $0, child: "c", parent: ByteString(String(repeating: "p", count: 300)), time: 5).row
        }
        var timed = try RuledEvents.event("sign_up")
        timed.serverTimed = true
        let rules = """
            [{"rename_events":["sign_up"],"to":"Signup"},{"drop_events":["i"],"match":"prefix"},{"lower_case_events":true},
             {"replace_prefix":"S","with":"s"},{"default_property":"plan","value":1}]
            """
        let ruled = try RuledEvents.tables(rules).apply(to: batch(claims + [timed])).batch.events
        #expect(Array(ruled.prefix(2)) == claims)
        #expect(ruled[2].name == "Signup" && ruled[2].serverTimed && ruled[2].time == timed.time)
    }

    /// What other writers of the binary protocol may send: keys in any order and twice, tables with equal texts.
    @Test func rowsThatAreNotCanonical() throws {
        var odd = batch([Event(user: "u", name: "e", time: 1)])
        odd.keys = StringTable(["z", "b", "z"])
        odd.names = StringTable(["e", "e"])
        odd.strings = StringTable(["1", "1"])
        odd.propertyStart = [0, 4]
        odd.propertyKey = [0, 1, 2, 0]
        odd.propertyTag = [EventBatch.Tag.string, EventBatch.Tag.string, EventBatch.Tag.integer, EventBatch.Tag.integer]
        odd.propertyBits = [0, 1, 8, 9]
        func properties(_ rules: String) throws -> String {
            RuledEvents.text(try RuledEvents.tables(rules).apply(to: odd).batch.event(0))
        }
        #expect(try properties(#"[{"rename_properties":["y"],"to":"x"}]"#) == #"e {"z":"1","b":"1","z":8,"z":9}"#)
        #expect(try properties(#"[{"rename_properties":["b"],"to":"c"}]"#) == #"e {"c":"1","z":9}"#)
        #expect(try properties(#"[{"rename_properties":["z"],"to":"a"}]"#) == #"e {"a":9,"b":"1"}"#)
        #expect(try properties(#"[{"cast_properties":["z","b"],"to":"number"}]"#) == #"e {"z":1,"b":1,"z":8,"z":9}"#)
        #expect(try properties(#"[{"drop_properties":["z"]}]"#) == #"e {"b":"1"}"#)
        #expect(try properties(#"[{"default_property":"z","value":0}]"#) == #"e {"z":"1","b":"1","z":8,"z":9}"#)
        #expect(try properties(#"[{"default_property":"a","value":0}]"#) == #"e {"a":0,"b":"1","z":9}"#)
    }

    /// Rows without columns of properties, as some readers have them.
    @Test func columnsThatWereNotReadStayAway() throws {
        var short = batch([Event(user: "u", name: "sign_up", time: 1), Event(user: "u", name: "ping", time: 1)])
        short.ids = StringTable()
        short.propertyStart = [0]
        let ruled = try RuledEvents.tables(Self.all).apply(to: short)
        #expect(ruled.batch.names[Int(ruled.batch.name[0])] == "Signup")
        #expect(ruled.batch.count == 1 && ruled.batch.ids.count == 0)
    }
}
