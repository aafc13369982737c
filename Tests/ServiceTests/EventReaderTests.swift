import FunnelModel
import Testing

struct EventReaderTests {
    private let reader = EventReader(now: 1_700_000_000_000_000)

    private func read(_ text: String) throws -> Event {
        guard case .event(let event, nil) = try reader.record(Array(text.utf8)) else {
            throw EventFault("", "is an event with a claim, or an alias")
        }
        return event
    }

    private func fault(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch let fault as EventFault {
            return fault.field
        } catch {
            return "\(error)"
        }
    }

    @Test func readsTheSeedsEvent() throws {
        let event = try read(
            #"{"user_id": "u", "event_type": "buy", "timestamp": "2023-11-01T00:00:00Z", "properties": {"price": 9.5}, "extra": 1}"#)
        #expect(event == Event(user: "u", name: "buy", time: 1_698_796_800_000_000, properties: [.init("price", .double(9.5))]))
    }

    @Test func flattensNestedPropertiesAndPrefersTheLiteralKey() throws {
        let event = try read(
            #"{"user_id": "u", "event": "e", "timestamp": 1600000000, "properties": {"a": {"b": 1, "c": {"d": "x"}}, "a.b": 2, "l": [1, "x"], "n": null, "nan": NaN}}"#
        )
        #expect(
            Dictionary(uniqueKeysWithValues: event.properties.map { ($0.key, $0.value) }) == [
                "a.b": .integer(2), "a.c.d": .string("x"), "l": .string(#"[1,"x"]"#),
            ])
    }

    @Test(arguments: [
        ("{}", "user_id"), (#"{"user_id": 5}"#, "user_id"), (#"{"user_id": ""}"#, "user_id"),
        (#"{"user_id": "u"}"#, "event_type"), (#"{"user_id": "u", "event": "e"}"#, "timestamp"),
        (#"{"user_id": "u", "event": "e", "timestamp": null}"#, "timestamp"),
        (#"{"user_id": "u", "event": "e", "timestamp": 5}"#, "timestamp"),
        (#"{"user_id": "u", "event": "e", "timestamp": 4000000000}"#, "timestamp"),
        (#"{"user_id": "u", "event": "e", "timestamp": 1600000000, "event_id": 7}"#, "event_id"),
        (#"{"user_id": "u", "event": "e", "timestamp": 1600000000, "properties": []}"#, "properties"), ("[]", "body"),
    ])
    func namesTheFieldAtFault(text: String, field: String) {
        #expect(fault(text) == field)
    }

    @Test func everyLimitHolds() {
        func long(_ n: Int) -> String { String(repeating: "x", count: n) }
        let tail = #""event": "e", "timestamp": 1600000000"#
        #expect(fault(#"{"user_id": "\#(long(512))", \#(tail)}"#) == nil)
        #expect(fault(#"{"user_id": "\#(long(513))", \#(tail)}"#) == "user_id")
        #expect(fault(#"{"user_id": "u", "event": "\#(long(257))", "timestamp": 1600000000}"#) == "event")
        #expect(fault(#"{"user_id": "u", \#(tail), "event_id": "\#(long(257))"}"#) == "event_id")
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": {"p": "\#(long(8193))"}}"#) == "properties.p")
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": {"\#(long(257))": 1}}"#) == "properties")
        let many = (0...256).map { "\"k\($0)\": 1" }.joined(separator: ",")
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": {\#(many)}}"#) == "properties")
        let deep = String(repeating: #"{"a": "#, count: 17) + "1" + String(repeating: "}", count: 17)
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": \#(deep)}"#) == "properties")
        let twice = (0..<120).map { "\"k\($0)\": 0" } + (0..<120).map { "\"k\($0)\": \"\(long(8000))\"" }
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": {\#(twice.joined(separator: ","))}}"#) == "properties.k0")
        let heavy = (0..<5).map { "\"k\($0)\": \"\(long(8000))\"" }.joined(separator: ",")
        #expect(fault(#"{"user_id": "u", \#(tail), "properties": {\#(heavy)}}"#) == "properties")
    }

    @Test(arguments: [250, 251, 252, 253, 254, 255, 256, 400])
    func aJoinedKeysLengthCounts(length: Int) throws {
        func event(_ inner: String) -> String {
            let key = String(repeating: "x", count: length)
            return #"{"user_id": "u", "event": "e", "timestamp": 1600000000, "properties": {"\#(key)": {"a": \#(inner)}}}"#
        }
        func message(_ text: String) -> String? {
            do {
                _ = try read(text)
                return nil
            } catch {
                return (error as? EventFault)?.message
            }
        }
        func tooLong(_ count: Int) -> String? { count <= 256 ? nil : "a key has \(count) bytes; 1 to 256 are allowed" }
        #expect(message(event("1")) == tooLong(length + 2))
        #expect(message(event(#"{"": "v"}"#)) == tooLong(length + 3))
        #expect(message(event(#"{"b": [1]}"#)) == tooLong(length + 4))
        #expect(message(event(#"{"b": {"c": true}}"#)) == tooLong(length + 6))
        #expect(try read(event(#"{"b": null, "c": {}}"#)).properties.isEmpty)
    }
}
