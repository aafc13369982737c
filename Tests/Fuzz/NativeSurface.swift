import Codec
import FunnelModel

/// Native events as JSON. The first byte chooses the form; the rest is the body.
enum NativeSurface {
    static func read(_ bytes: [UInt8]) {
        guard let form = bytes.first else { return }
        let body = Array(bytes.dropFirst())
        switch (form &- UInt8(ascii: "a")) % 3 {
        case 0: check { try? EventScanner.list(body, now: EventChecks.now, idempotencyKey: "k", limit: 1_000) }
        case 1: check { try? EventScanner.lines(body, now: EventChecks.now, limit: 1_000) }
        default: checkOne(body)
        }
    }

    private static func check(_ read: () -> ScannedEvents?) {
        guard let first = read() else { return }
        guard let second = read() else { return Fuzz.check(false, "a body that was read cannot be read again") }
        EventChecks.check(first.batch)
        Fuzz.check(first.batch.count == first.index.count, "rows and indexes differ in number")
        Fuzz.check(encode(first) == encode(second), "a body is read differently the second time")
        Fuzz.check(
            first.rejected.map(\.fault) == second.rejected.map(\.fault), "events of a body are rejected differently the second time")
    }

    /// The scanner's pass over the bytes gives what the parser and the reader give.
    private static func checkOne(_ body: [UInt8]) {
        var fast = EventScanner(now: EventChecks.now)
        fast.scan(body, 0..<body.count)
        var slow = EventScanner(now: EventChecks.now)
        guard body.count <= Limits.eventTextBytes, let document = try? JSONParser.parseStrictly(body, range: 0..<body.count) else {
            return Fuzz.check(fast.finish().batch.count == 0, "an event that is not JSON is accepted")
        }
        slow.take(document, text: body, 0..<body.count)
        let (scanned, taken) = (fast.finish(), slow.finish())
        EventChecks.check(scanned.batch)
        Fuzz.check(encode(scanned) == encode(taken), "scanner and reader give different events")
        Fuzz.check(scanned.rejected.map(\.fault) == taken.rejected.map(\.fault), "scanner and reader reject differently")
    }

    private static func encode(_ events: ScannedEvents) -> [UInt8] { EventBatchCodec.encode(events.batch, compressed: false) }
}
