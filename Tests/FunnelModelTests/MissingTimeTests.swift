import FunnelModel
import Testing

/// Events without a timestamp, where something says what becomes of them.
struct MissingTimeTests {
    private static let now: Int64 = 1_700_000_000_000_000
    private static let forms = ["", #","timestamp":null"#, #","timestamp":"""#]

    private static func read(_ text: String, key: ByteString = "", _ missing: MissingTime? = .serverTime) throws -> ScannedEvents {
        try EventScanner.lines(Array(text.utf8), now: now, idempotencyKey: key, missingTime: missing)
    }

    @Test(arguments: forms) func anEventWithAnIDIsServerTimed(form: String) throws {
        let events = try Self.read(
            #"{"user_id":"u","event":"e","event_id":"i"\#(form)}"# + "\n"
                + #"{"user_id":"u","event":"e","event_id":"j","timestamp":1600000000}"#
        ).batch.events
        #expect(events.map(\.time) == [Self.now, 1_600_000_000_000_000] && events.map(\.serverTimed) == [true, false])
        // As an element of a list too.
        let list = try EventScanner.list(
            Array(#"[{"user_id":"u","event":"e"\#(form)}]"#.utf8), now: Self.now, idempotencyKey: "K", missingTime: .serverTime)
        #expect(list.batch.events.map(\.id) == ["K/0"] && list.batch.events.map(\.serverTimed) == [true])
    }

    /// Events without an id differ by their time, so each delivery is another event.
    @Test(arguments: forms) func anEventWithoutAnIDHasTheTimeAlone(form: String) throws {
        let event = #"{"user_id":"u","event":"e"\#(form)}"#
        let plain = try Self.read(event).batch.events
        #expect(plain.map(\.time) == [Self.now] && plain.map(\.serverTimed) == [false])
        let keyed = try Self.read(event, key: "K").batch.events
        #expect(keyed.map(\.id) == ["K/0"] && keyed.map(\.serverTimed) == [true])
    }

    @Test(arguments: forms) func itIsRejectedForTheReasonGiven(form: String) throws {
        let fault = EventFault("timestamp", "field required (rules[3])", "missing")
        let read = try Self.read(#"{"user_id":"u","event":"e"\#(form)}"#, .reject(fault))
        #expect(read.batch.count == 0 && read.rejected.map(\.fault) == [fault])
        #expect(try Self.read(#"{"user_id":"u","event":"e"\#(form)}"#, nil).rejected.count == 1)
        // A time that cannot be read is a fault in any case.
        #expect(
            try Self.read(#"{"user_id":"u","event":"e","timestamp":"soon"}"#).rejected.first?.fault.message.hasPrefix("\"soon\"") == true)
    }

    @Test func claimsGetTheServersTimeToo() throws {
        let read = try Self.read(
            #"{"type":"alias","previous_id":"a","user_id":"u"}"# + "\n" + #"{"anonymous_id":"a","user_id":"u","event":"e","event_id":"i"}"#)
        #expect(read.claims.times == [Self.now, Self.now] && read.aliases == [0] && read.batch.count == 1)
    }
}
