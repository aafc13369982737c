import Foundation
import FunnelModel
import TestSupport
import Testing

/// The parser against Foundation's. Meant differences: bare NaN and Infinity and numbers too large for a double are
/// null here, a lone surrogate is U+FFFD, the last of equal keys counts, and nesting stops at 64. Events are read more strictly:
/// `StrictEventTests`.
struct JSONTests {
    private static let documents = 20_000

    @Test func agreesWithFoundationOnRandomAndMutatedDocuments() {
        var random = SplitMix64(seed: 41)
        var agreed = 0
        var refused = 0
        for i in 0..<Self.documents {
            var text: [UInt8] = []
            Self.write(&random, depth: 0, &text)
            if i % 2 == 1 { Self.mutate(&text, &random) }
            if Self.differsOnPurpose(text) { continue }
            let theirs = try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)
            let ours = try? JSONParser.parse(text)
            let shown = String(decoding: text, as: UTF8.self)
            #expect((ours == nil) == (theirs == nil), "\(shown)\nours \(String(describing: ours))")
            guard let ours, let theirs else {
                refused += 1
                continue
            }
            if Self.equal(ours, theirs) {
                agreed += 1
            } else {
                Issue.record("\(shown)\nours \(ours)\ntheirs \(theirs)")
            }
        }
        #expect(agreed > Self.documents / 2 && refused > Self.documents / 20)
    }

    @Test func whatIsWrittenReadsBackEqual() throws {
        var random = SplitMix64(seed: 42)
        for _ in 0..<5_000 {
            var text: [UInt8] = []
            Self.write(&random, depth: 0, &text)
            guard let value = try? JSONParser.parse(text) else { continue }
            let once = value.encode()
            let again = try JSONParser.parse(once)
            #expect(again.encode() == once)
            #expect(Self.sameNumbers(value, again))
        }
    }

    @Test func doublesReadBackToTheBit() throws {
        var random = SplitMix64(seed: 43)
        for _ in 0..<5_000 {
            let x = Double(bitPattern: random.next())
            guard x.isFinite, x != 0 else { continue }
            #expect(try JSONParser.parse(JSONValue.double(x).encode()).asDouble?.bitPattern == x.bitPattern)
        }
        #expect(JSONValue.double(.nan).encode() == Array("null".utf8))
    }

    static let readings: [(String, JSONValue)] = [
        ("NaN", JSONValue.null), ("-Infinity", .null), ("1e999", .double(.infinity)), (#""\ud800""#, "\u{FFFD}"),
        (#""\ud83d\ude00""#, "\u{1F600}"), (#""\ud800\u0041""#, "\u{FFFD}A"), ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .double(9_223_372_036_854_775_808)),
        ("-0", 0),
        (" [ ] ", .array([])), (#"{"a":1,"a":2}"#, .object([.init("a", 1), .init("a", 2)])),
    ]

    @Test(arguments: readings)
    func reads(text: String, value: JSONValue) throws {
        #expect(try JSONParser.parse(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "tru", "+1", "01", "-", "1.", ".5", "1e", "1e+", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"}",
        "{\"a\":}", "{a:1}",
        "{\"a\":1,}", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\u{1}\"", "\"\n\"", "1 2", "[1]]",
        "'a'", "// c\n1", "Nan",
        "infinity", "--1", "1\u{FEFF}",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(Array(text.utf8)) }
    }

    @Test func depthIsBounded() throws {
        func nested(_ n: Int) -> [UInt8] { [UInt8](repeating: 91, count: n) + [UInt8](repeating: 93, count: n) }
        #expect(try JSONParser.parse(nested(64)).asArray?.count == 1)
        #expect(throws: JSONError.self) { try JSONParser.parse(nested(65)) }
        #expect(throws: JSONError.self) { try JSONParser.parse([UInt8](repeating: 91, count: 1_000_000)) }
    }

    @Test(
        arguments: [[0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80], [0xE2, 0x82]] as [[UInt8]])
    func textMustBeUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONParser.parse([34] + bytes + [34]) }
        #expect(throws: JSONError.self) { try JSONParser.parse([34, 92, 110] + bytes + [34]) }
    }
}

extension JSONTests {
    private static func write(_ random: inout SplitMix64, depth: Int, _ out: inout [UInt8]) {
        func space() { if random.chance(15) { out.append(random.pick([32, 9, 10, 13])) } }
        space()
        switch random.below(depth > 4 ? 6 : 9) {
        case 0: out += random.pick(["true", "false", "null"]).utf8
        case 1: out += String(Int64(bitPattern: random.next()) >> Int64(random.below(64))).utf8
        case 2: out += random.pick(["0", "-0", "1.5", "-2.25e3", "1E-7", "3e+2", "123456789.125", "0.1"]).utf8
        case 3...5: writeString(&random, &out)
        case 6, 7:
            out.append(91)
            for i in 0..<random.below(5) {
                if i > 0 { out.append(44) }
                write(&random, depth: depth + 1, &out)
            }
            out.append(93)
        default:
            out.append(123)
            for i in 0..<random.below(4) {
                if i > 0 { out.append(44) }
                space()
                out += "\"k\(i)\"".utf8
                space()
                out.append(58)
                write(&random, depth: depth + 1, &out)
            }
            out.append(125)
        }
        space()
    }

    private static func writeString(_ random: inout SplitMix64, _ out: inout [UInt8]) {
        let parts = [
            "a", "Zo\u{EB}", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\u{1F600}", " ",
            "\\t\\b\\f\\r", "x\u{7F}",
        ]
        out.append(34)
        for _ in 0..<random.below(5) { out += random.pick(parts).utf8 }
        out.append(34)
    }

    private static func mutate(_ text: inout [UInt8], _ random: inout SplitMix64) {
        let palette = Array("{}[]:,\"\\0123456789.eE+-truefalsn u".utf8) + [0x7F, 0x80, 0xC3, 1]
        for _ in 0...random.below(2) where !text.isEmpty {
            let at = random.below(text.count)
            switch random.below(3) {
            case 0: text.remove(at: at)
            case 1: text.insert(random.pick(palette), at: at)
            default: text[at] = random.pick(palette)
            }
        }
    }

    /// Texts on which the two are meant to differ, or on which Foundation guesses another encoding.
    private static func differsOnPurpose(_ text: [UInt8]) -> Bool {
        let shown = String(decoding: text, as: UTF8.self)
        if text.contains(0) || shown.contains("N") || shown.contains("I") { return true }
        // Foundation takes a comma before a closing brace. An exponent of three digits or a very long run of digits may
        // pass a double's range or precision.
        let pattern = "[0-9]{20}|[0-9.][eE][+-]?[0-9]{3}|,[ \\t\\r\\n]*\\}"
        return loneSurrogate(shown.lowercased()) || shown.range(of: pattern, options: .regularExpression) != nil
    }

    private static func loneSurrogate(_ text: String) -> Bool {
        text.replacingOccurrences(of: "\\\\", with: "").replacingOccurrences(of: "\\ud83d\\ude00", with: "").contains(
            "\\ud")
    }

    private static func equal(_ ours: JSONValue, _ theirs: Any) -> Bool {
        switch ours {
        case .null: return theirs is NSNull
        case .bool(let flag): return (theirs as? Bool) == flag
        case .integer(let n):
            guard let number = theirs as? NSNumber else { return false }
            return number.int64Value == n || number.doubleValue == Double(n)
        case .double(let x):
            guard let number = theirs as? NSNumber else { return false }
            return number.doubleValue == x || abs(number.doubleValue - x) <= abs(x) * 1e-15
        case .string(let text): return (theirs as? String).map { Array($0.utf8) } == text.bytes
        case .array(let list):
            guard let other = theirs as? [Any], other.count == list.count else { return false }
            return zip(list, other).allSatisfy { equal($0, $1) }
        case .object(let members):
            guard let other = theirs as? [String: Any] else { return false }
            let keys = Set(members.map(\.key))
            // Of equal keys Foundation keeps either.
            if keys.count < members.count { return other.count == keys.count }
            return other.count == keys.count
                && members.allSatisfy { member in
                    other[member.key.string].map { equal(member.value, $0) } ?? false
                }
        }
    }

    /// Equal but for 2.0 having become 2.
    private static func sameNumbers(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.array(let x), .array(let y)): return x.count == y.count && zip(x, y).allSatisfy(sameNumbers)
        case (.object(let x), .object(let y)):
            return x.count == y.count && zip(x, y).allSatisfy { $0.key == $1.key && sameNumbers($0.value, $1.value) }
        default: return a == b || (a.asDouble != nil && a.asDouble == b.asDouble)
        }
    }
}
