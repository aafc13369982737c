import EventFiles
import EventSDKs
import EventShapes
import Foundation
import FunnelModel
import Testing

/// Records of a product give the same events, rows of profiles and claims, whether its endpoint or `sluice load` reads them.
struct ProductFileTests {
    /// What reading has given, without ids for rows that had none.
    private struct Read: Equatable {
        var events: [Event] = []
        var claims: [Claim] = []
        /// By record: whether it was rejected.
        var rejected: [Bool] = []
        var leftOut: [String] = []
    }

    private func fromEndpoint(_ path: String, _ body: String, _ headers: [(name: String, value: String)] = []) throws -> Read {
        let request = SDKRequest(.post, path, query: "", headers: headers, body: Array(body.utf8))
        let endpoint = try #require(SDKEndpoint.owner(of: request))
        let reader = EventReader(now: ReadFile.now)
        var read = Read()
        for record in try endpoint.read(request, now: ReadFile.now, limit: 1_000).records {
            read.rejected.append(record.rejected != nil)
            read.events += try record.events.map { try reader.read($0, text: [], 0..<0) }
            read.claims += record.claims
            read.leftOut += record.ignored
        }
        // A batch has properties in order.
        read.events = EventBatchBuilder(read.events).finish().events
        return read
    }

    private func fromFile(_ preset: String, _ lines: [String]) throws -> Read {
        let found = try #require(FilePreset.named(preset))
        let file = try TestFile(lines.map { $0.replacing("\n", with: " ") + "\n" }.joined(), name: "records.ndjson")
        defer { file.remove() }
        var options = FileOptions()
        (options.shape, options.table, options.product) = (found.shape, found.table, found.product)
        let source = try EventFile(path: file.url.path, options: options, now: ReadFile.now)
        var read = Read()
        while let batch = try source.next(rows: 3, bytes: 1 << 20) {
            read.events += batch.batch.events
            read.claims += (0..<batch.claims.count).map { batch.claims[$0] }
            for outcome in batch.outcomes {
                if case .rejected = outcome.kind { read.rejected.append(true) } else { read.rejected.append(false) }
                read.leftOut += outcome.leftOut
            }
            for i in 0..<batch.claims.count { #expect(batch.outcomes.indices.contains(batch.claims.indexes[i])) }
        }
        return read
    }

    private func expectEqual(_ file: Read, _ endpoint: Read, events: Int, claims: Int, rejected: Int) {
        #expect(file == endpoint)
        #expect(endpoint.events.count == events && endpoint.claims.count == claims, "\(endpoint)")
        #expect(endpoint.rejected.count { $0 } == rejected)
    }

    @Test(arguments: ["/v1/batch", "/v1/import"]) func segment(path: String) throws {
        let calls = [
            #"""
            {"type": "track", "userId": "u1", "anonymousId": "a1", "event": "Order Completed", "messageId": "m1", "timestamp":
             "2026-01-01T10:00:00.123+00:00", "properties": {"total": 12.5, "items": [1, 2], "none": null}, "integrations": {"All": true},
             "context": {"page": {"url": "https://a.example/?utm_source=ad&gclid=7", "referrer": "https://b.example/x"}}, "sentAt": "x"}
            """#,
            #"{"type": "identify", "userId": "u1", "anonymousId": "a2", "messageId": "m2", "timestamp": 1767261601, "traits": {"a": 1}}"#,
            #"{"type": "identify", "userId": "u2", "originalTimestamp": "2026-01-01T10:00:02Z", "context": {"traits": {"age": 30}}}"#,
            #"{"type": "identify", "userId": "u1", "anonymousId": "u1", "messageId": "m4", "timestamp": "2026-01-01T10:00:02Z"}"#,
            #"{"type": "page", "anonymousId": "a1", "messageId": "m5", "timestamp": 1767261603, "properties": {"url": "/?utm_term=t"}}"#,
            #"{"type": "screen", "userId": 2002, "messageId": "m6", "timestamp": "2026-01-01T10:00:04Z", "name": "Home"}"#,
            #"{"type": "alias", "userId": "u1", "previousId": "a3", "messageId": "m7", "timestamp": "2026-01-01T10:00:05Z"}"#,
            #"{"type": "alias", "userId": "u1", "messageId": "m8", "timestamp": "2026-01-01T10:00:05Z"}"#,
            #"{"type": "group", "userId": "u1", "groupId": 7, "messageId": "m9", "timestamp": 1767261606, "traits": {"n": "A"}}"#,
            #"{"type": "group", "userId": "u1", "messageId": "m10", "timestamp": "2026-01-01T10:00:06Z"}"#,
            #"{"type": "delete", "userId": "u1", "messageId": "m11", "timestamp": "2026-01-01T10:00:06Z"}"#,
            #"{"type": "identify", "userId": "u1", "messageId": "m12", "timestamp": "2026-01-01T10:00:06Z", "traits": [1]}"#,
            #"{"type": "track", "event": "x", "messageId": "m13", "timestamp": "2026-01-01T10:00:06Z"}"#,
            #"{"type": "track", "event": "x", "userId": "u1", "messageId": "m14", "timestamp": "soon"}"#,
        ]
        let endpoint = try fromEndpoint(path, "{\"batch\": [\(calls.joined(separator: ","))]}", [("Authorization", "Basic azo=")])
        expectEqual(try fromFile("segment-log", calls), endpoint, events: 7, claims: 3, rejected: 6)
    }

    @Test func mixpanel() throws {
        func event(_ name: String, _ second: Int, _ properties: String) -> String {
            #"{"event": "\#(name)", "properties": {"time": \#(1_767_261_600 + second), "$insert_id": "i\#(second)", \#(properties)}}"#
        }
        let events = [
            event(
                "Paid", 0, #""distinct_id": "u1", "$device_id": "d1", "$user_id": "u1", "n": 12.5, "$current_url": "/?utm_source=ad""#),
            event("Seen", 1, #""distinct_id": "$device:d1", "$device_id": "d1", "token": "k""#),
            event("Seen", 2, #""$device_id": "d2", "$referrer": "https://b.example/""#),
            event("$identify", 3, #""distinct_id": "u1", "$identified_id": "u1", "$anon_distinct_id": "$device:d3""#),
            event("$create_alias", 4, #""distinct_id": "u1", "alias": "n1""#),
            event("$create_alias", 5, #""distinct_id": "u1""#),
            event("$merge", 6, #""$distinct_ids": ["u1", "v1"]"#),
            event("Seen", 7, #""amount": 1"#),
        ]
        let endpoint = try fromEndpoint("/import", "[\(events.joined(separator: ","))]", [("Authorization", "Basic azo=")])
        expectEqual(try fromFile("mixpanel-export", events), endpoint, events: 3, claims: 4, rejected: 2)
    }

    @Test func amplitude() throws {
        func event(_ name: String, _ number: Int, _ members: String) -> String {
            #"{"event_type": "\#(name)", "time": \#(1_767_261_600_000 + number * 1_000), "insert_id": "i\#(number)", \#(members)}"#
        }
        let events = [
            event(
                "Paid", 0,
                #""user_id": "u1", "device_id": "d1", "event_properties": {"n": 12.5}, "platform": "Web", "user_properties": {"a": 1}"#
            ),
            event("Seen", 1, #""device_id": "d2", "event_properties": {"[Amplitude] Page URL": "https://a.example/?utm_source=ad"}"#),
            event("$identify", 2, #""user_id": "u1", "user_properties": {"$set": {"a": 1}, "$setOnce": {"b": 2}, "$add": {"c": 3}}"#),
            event("$groupidentify", 3, #""groups": {"org": "Acme"}, "group_properties": {"$set": {"size": 5}}"#),
            event("$groupidentify", 4, #""user_id": "u1""#),
            event("Seen", 5, #""event_properties": {}"#),
            event("Seen", 6, #""user_id": "u1", "user_properties": 7"#),
        ]
        let endpoint = try fromEndpoint("/2/httpapi", "{\"api_key\": \"k\", \"events\": [\(events.joined(separator: ","))]}")
        expectEqual(try fromFile("amplitude-export", events), endpoint, events: 6, claims: 1, rejected: 3)
        #expect(endpoint.leftOut == ["$add is not supported"])
        // Exports have other names for the time and the id.
        let exported = (0..<events.count).map {
            events[$0].replacing("\"time\": \(1_767_261_600_000 + $0 * 1_000)", with: "\"event_time\": \"2026-01-01 10:00:0\($0).000000\"")
                .replacing("insert_id", with: "$insert_id")
        }
        #expect(try fromFile("amplitude-export", exported) == endpoint)
    }

    @Test func posthog() throws {
        func event(_ name: String, _ second: Int, _ properties: String, _ members: String = #""distinct_id": "u1""#) -> String {
            #"{"event": "\#(name)", "timestamp": "2026-01-01T10:00:0\#(second)Z", "uuid": "i\#(second)", \#(members), "#
                + #""properties": {\#(properties)}}"#
        }
        let events = [
            event("paid", 0, #""amount": 12.5, "$current_url": "https://a.example/?utm_source=ad", "$set": {"plan": "p"}, "token": "k""#),
            event("$identify", 1, #""$anon_distinct_id": "a1", "$set": {"a": 1}, "$set_once": {"b": 2}"#),
            event("$create_alias", 2, #""alias": "a2""#),
            event("$merge_dangerously", 3, #""alias": "a3""#),
            event("$set", 4, #""$set": {"c": 3}, "$unset": ["d"]"#),
            event("$groupidentify", 5, #""$group_type": "org", "$group_key": "Acme", "$group_set": {"size": 5}"#),
            event("$groupidentify", 6, #""$group_type": "org""#),
            event("$create_alias", 7, ""),
            event("paid", 8, #""amount": 1"#, #""offset": 5"#),
        ]
        let endpoint = try fromEndpoint("/batch/", "{\"api_key\": \"k\", \"batch\": [\(events.joined(separator: ","))]}")
        expectEqual(try fromFile("posthog-export", events), endpoint, events: 6, claims: 3, rejected: 3)
        // Exports have the properties as text.
        let exported = try events.map { line in
            var members = try #require(try JSONParser.parse(Array(line.utf8)).asObject)
            for i in members.indices where members[i].key == "properties" {
                members[i].value = .string(ByteString(members[i].value.encode()))
            }
            return String(decoding: JSONValue.object(members).encode(), as: UTF8.self)
        }
        #expect(try fromFile("posthog-export", exported) == endpoint)
        let table = try fromTable(
            "distinct_id,event,timestamp,uuid,properties.amount,properties.$anon_distinct_id,properties.$set\n"
                + "u1,paid,2026-01-01T10:00:00Z,i0,12.5,,\nu1,$identify,2026-01-01T10:00:01Z,i1,,a1,\n")
        #expect(table.claims == [Claim(kind: .identify, child: "a1", parent: "u1", time: 1_767_261_601_000_000)])
        #expect(table.events.map(\.name) == ["paid", "$identify"])
    }

    private func fromTable(_ text: String) throws -> ReadFile {
        try ReadFile(
            text,
            ReadFile.options { options in
                guard let preset = FilePreset.named("posthog-csv") else { return }
                (options.shape, options.table, options.product, options.required) = (preset.shape, preset.table, preset.product, [])
            })
    }

    /// A record without a time is stored with the server's by an endpoint; a file's is rejected.
    @Test func recordWithoutATimeIsRejected() throws {
        let read = try fromFile("segment-log", [#"{"type": "identify", "userId": "u1", "anonymousId": "a1", "messageId": "m1"}"#])
        #expect(read == Read(rejected: [true]))
    }

    /// Ids that are made of a row's number in the file; two rows of one record differ by their names.
    @Test func rowsOfARecordHaveItsNumber() throws {
        let line =
            #"{"event_type": "a", "event_time": "2026-01-01 10:00:00", "user_id": "u", "device_id": "d", "user_properties": {"p": 1}}"#
        let read = try ReadFile(
            "\(line)\n\(line)\n",
            ReadFile.options { options in
                guard let preset = FilePreset.named("amplitude-export") else { return }
                (options.shape, options.product) = (preset.shape, preset.product)
            }, ids: .numbered(prefix: "K"))
        #expect(read.events.map { "\($0.name) \($0.id)" } == ["a K/0", "$identify K/0", "a K/1", "$identify K/1"])
        #expect(read.lines == [1...1, 1...1, 2...2, 2...2])
        // One for both: they are equal.
        #expect(read.claims.count == 1)
    }

    /// Values over the limits of an event are left out, with the reason; the event stays.
    @Test func profileThatCannotBeStoredIsLeftOut() throws {
        let long = String(repeating: "x", count: Limits.propertyValueBytes + 1)
        let line =
            #"{"event_type": "a", "event_time": 1767261600, "user_id": "u", "$insert_id": "i", "user_properties": {"p": "\#(long)"}}"#
        let read = try fromFile("amplitude-export", [line])
        #expect(read.events.map(\.name) == ["a"] && read.rejected == [false] && read.leftOut.count == 1)
    }
}
