import Codec
import FunnelModel
import TestSupport
import Testing

struct EventBatchCodecTests {
    private static func batch(_ random: inout SplitMix64, rows: Int) -> EventBatch {
        let events = (0..<rows).map { _ -> Event in
            let properties = (0..<random.below(5)).map { _ in
                Event.Property(ByteString("key \(random.below(9))"), value(&random))
            }
            let time =
                random.chance(90) ? 1_710_892_800_000_000 + Int64(random.below(1 << 40)) : Int64(random.next() >> 4)
            return Event(
                user: ByteString("user \(random.below(rows))"), name: ByteString("event \(random.below(20))"),
                time: time,
                id: random.chance(50) ? "" : ByteString("id \(random.next())"), serverTimed: random.chance(20),
                properties: properties)
        }
        return EventBatchBuilder(events).finish()
    }

    private static func value(_ random: inout SplitMix64) -> PropertyValue {
        switch random.below(4) {
        case 0: return .string(ByteString("text \(random.below(30))"))
        case 1: return .integer(Int64(bitPattern: random.next()))
        case 2:
            let x = Double(bitPattern: random.next())
            return .double(x.isFinite ? x : 0.5)
        default: return .bool(random.chance(50))
        }
    }

    @Test(arguments: [false, true])
    func randomBatchesComeBackEqual(compressed: Bool) throws {
        var random = SplitMix64(seed: 11)
        for round in 0..<60 {
            let batch = Self.batch(&random, rows: [0, 1, 7, 300][round % 4])
            let bytes = EventBatchCodec.encode(batch, compressed: compressed)
            #expect(try EventBatchCodec.decode(bytes) == batch)
        }
    }

    /// Code widths change at 256 and 65,536 table entries.
    @Test(arguments: [255, 256, 257, 65_536, 65_537])
    func codesAreAsWideAsTheTableNeeds(users: Int) throws {
        let batch = EventBatchBuilder((0..<users).map { Event(user: ByteString("\($0)"), name: "e", time: 1) }).finish()
        let bytes = EventBatchCodec.encode(batch, compressed: false)
        let back = try EventBatchCodec.decode(bytes, sections: [])
        #expect(back.user == batch.user && back.users == batch.users)
    }

    @Test(arguments: [false, true])
    func skippedSectionsStayEmpty(compressed: Bool) throws {
        var random = SplitMix64(seed: 12)
        let batch = Self.batch(&random, rows: 200)
        let bytes = EventBatchCodec.encode(batch, compressed: compressed)
        let bare = try EventBatchCodec.decode(bytes, sections: [])
        #expect(
            bare.user == batch.user && bare.name == batch.name && bare.time == batch.time && bare.flags == batch.flags)
        #expect(bare.ids.count == 0 && bare.keys.count == 0 && bare.propertyKey.isEmpty)
        #expect(bare.event(0).properties.isEmpty && bare.event(0).id == "")
        let ids = try EventBatchCodec.decode(bytes, sections: .ids)
        #expect(ids.ids == batch.ids && ids.propertyKey.isEmpty)
        let properties = try EventBatchCodec.decode(bytes, sections: .properties)
        #expect(properties.properties(ofRow: 3) == batch.properties(ofRow: 3) && properties.ids.count == 0)
    }

    @Test func boundsNameTheLimit() {
        var random = SplitMix64(seed: 13)
        let bytes = EventBatchCodec.encode(Self.batch(&random, rows: 10), compressed: false)
        var few = EventBatchCodec.Bounds.wire
        few.rows = 9
        #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes, bounds: few) }
        var small = EventBatchCodec.Bounds.wire
        small.sectionBytes = 8
        #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes, bounds: small) }
    }

    @Test func everyCutIsAnError() {
        var random = SplitMix64(seed: 14)
        let bytes = EventBatchCodec.encode(Self.batch(&random, rows: 5), compressed: false)
        for end in 0..<bytes.count {
            #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes, range: 0..<end) }
        }
    }

    @Test func sectionsSkippedAreNotChecked() throws {
        var random = SplitMix64(seed: 15)
        let batch = Self.batch(&random, rows: 50)
        var bytes = EventBatchCodec.encode(batch, compressed: false)
        bytes[bytes.count - 1] ^= 0xFF
        #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes) }
        #expect(try EventBatchCodec.decode(bytes, sections: .ids).time == batch.time)
    }

    /// NaN has no order; a filter that met one from the wire used to trap.
    @Test(arguments: [Double.nan, -Double.nan, .signalingNaN, .infinity, -.infinity])
    func numbersThatAreNotFiniteAreRefused(x: Double) {
        let event = Event(user: "u", name: "e", time: 1, properties: [.init("p", .double(x))])
        let bytes = EventBatchCodec.encode(EventBatchBuilder([event]).finish(), compressed: false)
        #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes) }
    }
}
