import FunnelModel
import TestSupport
import Testing

/// The scanner against the slow reading on bodies from a generator and on damaged ones.
struct EventScannerRandomTests {
    private static let bodies = max(400, TestCounts.histories / 5)

    @Test(arguments: 0..<4)
    func agreesOnRandomAndDamagedBodies(part: Int) {
        var random = SplitMix64(seed: 71 + UInt64(part))
        var taken = 0
        var rejected = 0
        for round in 0..<(Self.bodies / 4) {
            var writer = EventTextWriter(random: random, asList: round % 2 == 0)
            var body = writer.body()
            random = writer.random
            if round % 4 >= 2 { Self.damage(&body, &random) }
            let key: ByteString = random.chance(30) ? "K" : ""
            let limit = random.chance(10) ? random.below(4) : Int.max
            guard let read = ScannerComparison.compare(body, asList: round % 2 == 0, key: key, limit: limit) else { return }
            taken += read.taken
            rejected += read.rejected
        }
        #expect(taken > Self.bodies / 4 && rejected > Self.bodies / 20, "\(taken) taken, \(rejected) rejected")
    }

    @Test func agreesOnEveryTruncationAndEveryChangedByte() {
        let text =
            #"{"user_id":"u\u00e9","event":"Zoë","timestamp":"2023-11-01T00:00:00.5Z","event_id":"i","properties":{"b":-1.5e3,"a":{"x":[1,"y"],"t":true},"n":null}}"#
        let event = Array(text.utf8)
        for count in 0...event.count {
            ScannerComparison.compare(Array(event[..<count]), asList: false)
            ScannerComparison.compare([91] + event[count...] + [93], asList: true)
        }
        for place in event.indices {
            for byte: UInt8 in [0, 9, 10, 32, 34, 44, 45, 46, 48, 58, 69, 92, 93, 125, 128, 195, 255] {
                var changed = event
                changed[place] = byte
                ScannerComparison.compare(changed, asList: false)
                ScannerComparison.compare([91] + changed + [93], asList: true)
            }
        }
    }

    /// Bytes changed, inserted and cut, pieces doubled and swapped in from elsewhere, ends cut off.
    private static func damage(_ body: inout [UInt8], _ random: inout SplitMix64) {
        let palette = Array("{}[]:,\"\\0123456789.eE+-truefalsnNI u\n\r\t/".utf8) + [0, 1, 0x7F, 0x80, 0xC3, 0xE2, 0xF0, 0xFF]
        for _ in 0...random.below(4) where !body.isEmpty {
            let at = random.below(body.count)
            let end = min(body.count, at + 1 + random.below(12))
            switch random.below(8) {
            case 0: body.remove(at: at)
            case 1: body.insert(random.pick(palette), at: at)
            case 2: body[at] ^= 1 << UInt8(random.below(8))
            case 3: body.removeSubrange(at..<end)
            case 4: body.insert(contentsOf: Array(body[at..<end]), at: random.below(body.count))
            case 5:
                if random.chance(30) { body.removeSubrange(at...) }
            default: body[at] = random.pick(palette)
            }
        }
    }
}

/// Writes event bodies that reach every way of the scanner: mostly valid, with every kind of value and some faults.
private struct EventTextWriter {
    var random: SplitMix64
    let asList: Bool
    private var out: [UInt8] = []

    init(random: SplitMix64, asList: Bool) {
        self.random = random
        self.asList = asList
    }

    mutating func body() -> [UInt8] {
        let wrapped = asList && random.chance(30)
        if wrapped { text("{\"events\":") }
        if asList { text("[") }
        for i in 0..<random.below(7) {
            if i > 0 { text(asList ? "," : random.pick(["\n", "\n", "\r\n", "\n\n", "\n \n"])) }
            random.chance(3) ? text(random.pick(["{}", "5", "[]", "null", "\"x\"", "nope", "{\"a\":"])) : event()
        }
        if asList { text("]") }
        if wrapped { text(random.pick(["}", "}", " } ", ",\"x\":1}"])) }
        return out
    }

    private mutating func text(_ text: String) { out += text.utf8 }

    private mutating func space() {
        guard random.chance(4) else { return }
        out.append(random.pick(asList ? [32, 9, 10, 13] : [32, 9, 13]))
    }

    private mutating func event() {
        var fields = ["user_id", random.chance(50) ? "event" : "event_type", "timestamp"]
        if random.chance(85) { fields.append("properties") }
        if random.chance(30) { fields.append("event_id") }
        if random.chance(10) { fields.append("context") }
        if random.chance(15) { fields.append("anonymous_id") }
        if random.chance(3) { fields = ["type", "previous_id", "user_id", "timestamp"] }
        if random.chance(3) { fields.append(random.pick(fields)) }
        if random.chance(3) { fields.append(random.pick(["event", "event_type", "user\\u005fid"])) }
        if random.chance(3) { fields.remove(at: random.below(fields.count)) }
        if random.chance(50) { fields.shuffle(using: &random) }
        object(fields) { writer, field in writer.value(of: field) }
    }

    private mutating func object(_ keys: [String], _ value: (inout Self, String) -> Void) {
        text("{")
        for (i, key) in keys.enumerated() {
            if i > 0 { text(",") }
            space()
            text("\"\(key)\"")
            space()
            text(":")
            space()
            value(&self, key)
            space()
        }
        text("}")
    }

    private mutating func value(of field: String) {
        if random.chance(2) { return scalar() }
        switch field {
        case "user_id": text("\"u-\(random.below(20))\"")
        case "type": text("\"alias\"")
        case "anonymous_id", "previous_id":
            let number = random.below(20)
            text(random.pick(["\"u-\(number)\"", "\"d-\(number)\"", "\"d\\u002d\(number)\"", "null", "\"\""]))
        case "event", "event_type": text(random.pick(["\"view\"", "\"buy\"", "\"caf\u{E9}\"", "\"a\\tb\"", "\"sign up\""]))
        case "timestamp": timestamp()
        case "event_id": random.chance(80) ? text("\"id-\(random.below(1_000))\"") : text(random.pick(["null", "\"\"", "7"]))
        case "properties": random.chance(95) ? properties(depth: 1) : text("null")
        default: any(depth: 0)
        }
    }

    private mutating func timestamp() {
        let seconds = 1_600_000_000 + random.below(140_000_000)
        switch random.below(8) {
        case 0: text("\(seconds)")
        case 1: text("\(seconds).\(random.below(1_000))")
        case 2: text("\"\(seconds)\(random.below(900) + 100)\"")
        case 3: text("\"\(seconds).5\"")
        case 4, 5: text("\"\(Timestamp.format(Int64(seconds) * 1_000_000 + Int64(random.pick([0, 5_000, 123_456]))))\"")
        case 6:
            let date = Timestamp.format(Int64(seconds) * 1_000_000).dropLast()
            text("\"\(date)\(random.pick(["", "+02:00", "-07:30", ".1234567+00:00", "z", ",5", "+0200", ".", "Z "]))\"")
        default: text("\(seconds)\(random.below(900) + 100)")
        }
    }

    private mutating func properties(depth: Int) {
        var keys: [String] = []
        if random.chance(60) {
            keys = random.pick([["country", "device", "price"], ["price", "session"], ["sku", "price", "quantity", "a", "a.b"]])
        }
        let pool = ["a", "b", "c", "a.b", "a.b.c", "key", "key1", "key2", "longer_key_name", "K", "\\u0061", "\u{E9}", "a\\\"b", "", "x y"]
        for _ in 0..<random.below(random.chance(3) ? 40 : 4) {
            keys.append(random.chance(85) ? random.pick(pool) : "k\(random.below(300))")
        }
        // A key twice now and then alone: such an event is rejected.
        if !random.chance(3) { keys = keys.enumerated().filter { place, key in keys.firstIndex(of: key) == place }.map(\.element) }
        object(keys) { writer, _ in
            if writer.random.chance(15), depth < 18 {
                writer.properties(depth: depth + 1)
            } else {
                writer.random.chance(4) ? writer.any(depth: 0) : writer.scalar()
            }
        }
    }

    private mutating func any(depth: Int) {
        switch random.below(depth > 3 ? 1 : 3) {
        case 1: object((0..<random.below(3)).map { "k\($0)" }) { writer, _ in writer.any(depth: depth + 1) }
        case 2:
            text("[")
            for i in 0..<random.below(4) {
                if i > 0 { text(",") }
                space()
                any(depth: depth + 1)
            }
            text("]")
        default: scalar()
        }
    }

    private mutating func scalar() {
        switch random.below(12) {
        case 0: text(random.pick(["true", "false", "null", "NaN", "-Infinity", "Infinity"]))
        case 1: text(String(Int64(bitPattern: random.next()) >> Int64(random.below(64))))
        case 2:
            text(random.pick(["0", "-0", "1.5", "-2.25e3", "1E-7", "3e+2", "-0.0", "1e400", "5e-324", "18446744073709551616", "01", "1."]))
        case 3: text("\(Double(bitPattern: random.next()))".replacing("nan", with: "NaN").replacing("inf", with: "Infinity"))
        case 4: text("\(random.below(100_000)).\(random.below(100_000))")
        case 5: text("\(random.below(1_000_000))e\(random.below(60) - 30)")
        case 6: text("\"\(random.pick(["US", "DE", "mobile", "desktop"]))\"")
        case 7: text("\"\(String(random.next(), radix: 16))\"")
        default: string()
        }
    }

    private mutating func string() {
        let parts = [
            "a", "Zo\u{EB}", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\u{1F600}", " ",
            "\\t\\b\\f\\r", "x\u{7F}", "abcdefgh",
            "0123456789abcdef",
        ]
        text("\"")
        for _ in 0..<random.below(5) { text(random.pick(parts)) }
        if random.chance(2) { text(random.pick(["\\ud83d", "\\udc00", "\\ud83d\\n"])) }
        text("\"")
    }
}
