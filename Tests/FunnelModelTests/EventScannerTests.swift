import FunnelModel
import TestSupport
import Testing

/// What an event needs besides its user.
private let tail = #""event":"e","timestamp":1700000000"#

/// The scanner against the parser, reader and builder that it stands for: batches equal to the last column, the same events
/// rejected with the same words.
struct EventScannerTests {
    /// One event in every place it can have: alone, with others around it, in a list, in an object.
    private static func compareEverywhere(_ event: [UInt8]) {
        let other = Array(#"{"user_id":"v","event":"other","timestamp":1700000001,"properties":{"b":"x","a":1}}"#.utf8)
        ScannerComparison.compare(event, asList: false)
        ScannerComparison.compare(event + [10], asList: false, key: "K")
        ScannerComparison.compare(other + [10] + event + [13, 10] + other, asList: false)
        ScannerComparison.compare(event, asList: true)
        ScannerComparison.compare([91] + event + [93], asList: true)
        ScannerComparison.compare([32, 91, 10] + other + [44, 10] + event + [32, 44] + other + [93, 10], asList: true, key: "K")
        ScannerComparison.compare(Array(#"{"events":["#.utf8) + other + [44] + event + Array("]}".utf8), asList: true)
        var scanner = EventScanner(now: ScannerComparison.now)
        scanner.scan(event, 0..<event.count)
        let ours = scanner.finish()
        let theirs = ScannerComparison.slowly(event, [0..<event.count], key: "")
        #expect(ours.batch == theirs.batch && ours.rejected.map(\.fault) == theirs.rejected.map(\.fault))
    }

    private static func withProperties(_ text: String) -> [UInt8] { Array(#"{"user_id":"u",\#(tail),"properties":\#(text)}"#.utf8) }

    // MARK: - Edges

    static let values: [String] = [
        "0", "-0", "-0.0", "0.0", "0e0", "1", "-1", "12.34", "-12.340", "1e22", "1e23", "1E+5", "1e-5", "1e400", "-1e400", "1e-400",
        "4.9e-324", "2e-324",
        "123456789012345", "1234567890123456", "0.123456789012345", "0.1234567890123456", "123456789.1234567", "999999999999999999",
        "1000000000000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
        "12345678901234567890", "00", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "1e00005", "1e99999999999999999999",
        "1e-99999999999999999999", "-", "+1", "--1",
        "0.30000000000000004", "1.7976931348623157e308", "0.000000000000000000000001", "100000000000000000000000.0", "0.00000e5",
        "NaN", "Infinity", "-Infinity", "-NaN", "Inf", "nan", "true", "false", "null", "tru", "nul", "True", "1 2", "0x10", "1_0", "1,", "",
        #""""#, #""a""#, #""\"\\\/\b\f\n\r\t""#, #""\u0041\u00e9\u20ac""#, #""\ud83d\ude00""#, #""\ud83d""#, #""\ude00""#, #""\ud83dx""#,
        #""\ud83d\u0041""#,
        #""\ud83d\ud83d\ude00""#, #""\uD83D\uDE0""#, #""\u12g4""#, #""\u12"#, #""\x""#, #""\"#, #""open"#, "\"a\u{1}b\"", "\"tab\t\"",
        "\"\u{7F}\"", #""\u0000\u001f""#,
        "\"Zo\u{EB}\u{20AC}\u{1F600}\"", "\"1234567\"", "\"12345678\"", "\"123456789012345\"", "\"1234567\u{E9}\"", "'a'",
        "{}", #"{"b":1}"#, #"{"b":{"c":"x"},"d":null}"#, #"{"":1}"#, #"{"":{"":2}}"#, #"{"b":1,"b":2}"#, #"{"b":{"c":1},"b.c":2}"#,
        #"{"b.c":2,"b":{"c":1}}"#,
        "[]", "[1,2]", #"[ 1 , "x\n\u00e9" , {"k":[null,true,-0.0]} , 1e400, NaN ]"#, "[1,]", "[1", "[[[]]]", "{", "{}}", "]", #"{"b"}"#,
        #"{"b":1,}"#, #"{"b" 1}"#,
        "\u{FEFF}1", "/**/1", " 1 ", "\t\r1\r", "\u{A0}1", "1\n",
    ]

    @Test(arguments: values)
    func aPropertysValue(text: String) {
        Self.compareEverywhere(Self.withProperties(#"{"a":\#(text)}"#))
        Self.compareEverywhere(Self.withProperties(#"{"z":"y","a":{"n":\#(text)},"m":1}"#))
        Self.compareEverywhere(Self.withProperties(text))
    }

    @Test(arguments: values)
    func aFieldsValue(text: String) {
        Self.compareEverywhere(Array(#"{"user_id":\#(text),\#(tail)}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event":\#(text),"timestamp":1700000000}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event_type":\#(text),"timestamp":1700000000}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event":"e","timestamp":\#(text)}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event":\#(text),"event_type":"t","timestamp":1700000000}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event_type":"t","event":\#(text),"timestamp":1700000000}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u",\#(tail),"event_id":\#(text)}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u",\#(tail),"context":\#(text)}"#.utf8))
        Self.compareEverywhere(Array(#"{"context":{"a":[\#(text)]},"user_id":"u",\#(tail)}"#.utf8))
        Self.compareEverywhere(Array(text.utf8))
    }

    @Test(arguments: [
        "2023-11-01T00:00:00Z", "2023-11-01T00:00:00", "2023-11-01 23:59:59", "2023-11-01T00:00:00.1Z", "2023-11-01T00:00:00.123456Z",
        "2023-11-01T00:00:00.123456789Z", "2023-11-01T00:00:00.1234567890Z", "2023-11-01T00:00:00.Z", "2023-11-01T00:00:00,5Z",
        "2023-11-01T00:00:00.5",
        "2023-11-01T12:00:00+01:00", "2023-11-01T12:00:00-05:30", "2023-11-01T12:00:00.25+23:59", "2023-11-01T12:00:00+24:00",
        "2023-11-01T12:00:00+01:60",
        "2023-11-01T12:00:00+0100", "2023-11-01T12:00:00+01", "2023-11-01T12:00:00+01:", "2023-11-01T12:00:00+1:00", "2023-11-01t12:00:00z",
        "2023-11-01T12:00:00z",
        "2023-11-01", "2023-11-01T12:00", "2023-11-01T12:00Z", "2023-11-01T12", "2023-02-28T00:00:00Z", "2023-02-29T00:00:00Z",
        "2024-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
        "2023-04-30T00:00:00Z", "2023-04-31T00:00:00Z", "2023-12-31T00:00:00Z", "2023-12-32T00:00:00Z", "2023-00-10T00:00:00Z",
        "2023-13-10T00:00:00Z", "2023-01-00T00:00:00Z",
        "2023-11-01T24:00:00Z", "2023-11-01T00:60:00Z", "2023-11-01T00:00:60Z", "2023-11-01T00:00:0aZ", "20a3-11-01T00:00:00Z",
        "2023/11-01T00:00:00Z", "2023-11-01X00:00:00Z",
        "2023-11-01T00:00:00ZZ", "2023-11-01T00:00:00 Z", " 2023-11-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        "1970-12-31T23:59:59.999999Z",
        "1971-01-01T00:00:00Z", "1970-06-01T00:00:00Z", "2025-06-16T15:06:40Z", "2025-06-16T15:06:41Z", "1700000000", "1700000000.5",
        "1700000000123", "1700000000123.456",
        "99999999999", "100000000000", "123456789012345", "1234567890123456", "12345678901234567890", "-5", "1e9", ".5", "5.", "1.2.3",
        "\\u0031700000000", "0", "00000001700000000", "",
    ])
    func aTimestampsText(text: String) {
        Self.compareEverywhere(Array(#"{"user_id":"u","event":"e","timestamp":"\#(text)"}"#.utf8))
        Self.compareEverywhere(Array(#"{"user_id":"u","event":"e","timestamp":\#(text)}"#.utf8))
    }

    @Test(arguments: [
        "", " ", "{}", "{ }", "[]", "null", "5", "\"x\"", "{", "}", "[", "{\"user_id\"", #"{"user_id":"u"}"#,
        #"{"user_id":"u","event":"e"}"#, #"{"event":"e","timestamp":1700000000}"#,
        #"{"user_id":"u","user_id":"v",\#(tail)}"#, #"{"user_id":"u","event":"a","event":"b","timestamp":1700000000}"#,
        #"{"user_id":"u",\#(tail),"timestamp":1600000000}"#,
        #"{"user_id":"u",\#(tail),"properties":{"a":1},"properties":{"b":2}}"#, #"{"user_id":"u",\#(tail),"event_id":"a","event_id":null}"#,
        #"{"user\u005fid":"u",\#(tail)}"#, #"{"user_id":"w","user\u005fid":"u",\#(tail)}"#,
        #"{"x":1,"x":[2],"x":{"y":"\n"},"user_id":"u",\#(tail)}"#,
        #"{"user_id":"u",\#(tail)},"#, #"{"user_id":"u",\#(tail)} x"#, #"{"user_id":"u",\#(tail),}"#, #"{"user_id":"u" \#(tail)}"#,
        #"{"user_id" "u",\#(tail)}"#, #"{user_id:"u",\#(tail)}"#,
        #"{"user_ie":"u",\#(tail)}"#, #"{"User_id":"u",\#(tail)}"#, #"{"user_id":"u","event":"e","timestamq":1700000000}"#,
        #"{"user_id":"u",\#(tail),"propertiez":5,"event_ie":5,"evens":5}"#,
        "\u{FEFF}{\"user_id\":\"u\",\(tail)}", " \t{ \"user_id\" : \"u\" ,\r \(tail) } \r", "{\n\"user_id\":\"u\",\n\(tail)\n}",
        "{\u{B}\"user_id\":\"u\",\(tail)}",
        #"{"user_id":"u\n","event":"\u00e9","timestamp":"\u0031700000000","event_id":"\"","properties":{"\u0061":"\t","a\n":{"b\\":"c"}}}"#,
        #"{"user_id":"u",\#(tail),"properties":{"a":1,"\u0061":2}}"#, #"{"user_id":"u",\#(tail),"properties":{"a.b":1,"a":{"b":2},"c":3}}"#,
        #"{"user_id":"u",\#(tail),"properties":{"b":1,"a":2,"ab":3,"B":4,"\u00e9":5,"":null}}"#, #"{"user_id":"u",\#(tail),"event_id":""}"#,
        #"{"user_id":"u",\#(tail),"event_id":null}"#,
    ])
    func anEvent(text: String) {
        Self.compareEverywhere(Array(text.utf8))
    }

    @Test(
        arguments: [
            [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80], [0xE2, 0x82], [0xFF], [0xC3, 0xA9],
            [0xF0, 0x9F, 0x98, 0x80], [0], [0x1F], [0x20], [0x7F],
        ] as [[UInt8]])
    func bytesInText(bytes: [UInt8]) {
        for padding in 0..<9 {
            let text = [UInt8](repeating: 97, count: padding) + bytes + [UInt8](repeating: 98, count: padding % 3)
            let end = Array(#"",\#(tail)}"#.utf8)
            Self.compareEverywhere(Array(#"{"user_id":""#.utf8) + text + end)
            Self.compareEverywhere(Array(#"{"user_id":"\n"#.utf8) + text + end)
            Self.compareEverywhere(Array(#"{""#.utf8) + text + Array(#"":1,"user_id":"u"#.utf8) + end)
            Self.compareEverywhere(Self.withProperties("{\"").dropLast() + text + Array("\":1}}".utf8))
            Self.compareEverywhere(Self.withProperties("[\"").dropLast() + text + Array("\"]}".utf8))
            Self.compareEverywhere(Self.withProperties("{\"a\":[\"").dropLast() + text + Array("\"]}}".utf8))
        }
    }

    @Test func everyLimit() {
        func long(_ n: Int) -> String { String(repeating: "x", count: n) }
        for n in [1, 128, 255, 256, 257, 511, 512, 513] {
            Self.compareEverywhere(Array(#"{"user_id":"\#(long(n))",\#(tail)}"#.utf8))
            Self.compareEverywhere(Array(#"{"user_id":"u","event":"\#(long(n))","timestamp":1700000000}"#.utf8))
            Self.compareEverywhere(Array(#"{"user_id":"u",\#(tail),"event_id":"\#(long(n))"}"#.utf8))
            Self.compareEverywhere(Self.withProperties(#"{"\#(long(n))":1}"#))
            Self.compareEverywhere(Self.withProperties(#"{"\#(long(n))":null}"#))
            Self.compareEverywhere(Self.withProperties(#"{"\#(long(n))":{"a":1,"b":null}}"#))
            Self.compareEverywhere(Self.withProperties(#"{"\#(long(n))":{"":null,"c":{}}}"#))
        }
        for n in [8191, 8192, 8193] {
            Self.compareEverywhere(Self.withProperties(#"{"p":"\#(long(n))"}"#))
            Self.compareEverywhere(Self.withProperties(#"{"p":["\#(long(n - 4))"]}"#))
        }
        for n in [31, 32, 33, 255, 256, 257] {
            let keys = (0..<n).map { "\"k\(($0 * 7919) % 1000)\":\($0)" }.joined(separator: ",")
            Self.compareEverywhere(Self.withProperties("{\(keys)}"))
        }
        for n in [15, 16, 17, 60, 61, 62, 63, 64, 65] {
            let deep = String(repeating: #"{"a":"#, count: n) + "1" + String(repeating: "}", count: n)
            Self.compareEverywhere(Self.withProperties(deep))
            Self.compareEverywhere(Array(#"{"user_id":"u",\#(tail),"x":\#(deep)}"#.utf8))
            let lists = String(repeating: "[", count: n) + String(repeating: "]", count: n)
            Self.compareEverywhere(Self.withProperties(#"{"a":\#(lists)}"#))
            Self.compareEverywhere(Self.withProperties(#"{"a":{"b":\#(lists)}}"#))
            Self.compareEverywhere(Array(#"{"user_id":"u",\#(tail),"x":\#(lists)}"#.utf8))
            Self.compareEverywhere(Array(#"{"user_id":"u","event_type":"e","timestamp":1700000000,"event":\#(lists)}"#.utf8))
        }
        for last in [32_000 - 3 * 8_000 - 4, 32_768 - 3 * 8_001 - 1, 32_768 - 3 * 8_001] {
            Self.compareEverywhere(
                Self.withProperties(
                    #"{"a":"\#(long(8_000))","b":"\#(long(8_000))1","c":"\#(long(8_000))","d":"\#(long(min(8_192, max(0, last))))"}"#))
        }
        let heavy = (0..<4).map { "\"k\($0)\":\"\(long(8_189))\"" }.joined(separator: ",")
        for more in ["", #","z":"\#(long(3))""#, #","z":"\#(long(4))""#] {
            Self.compareEverywhere(Self.withProperties("{\(heavy)\(more)}"))
        }
    }

    @Test func aBodysForm() {
        let event = #"{"user_id":"u",\#(tail)}"#
        for text in [
            "", " ", "\n\n", "[]", "[ ]", "{}", #"{"events":[]}"#, #"{"events":[\#(event)],"x":1}"#, #"{"x":1,"events":[\#(event)]}"#,
            #"{"events":5}"#, #"{"events":[1],"events":[\#(event)]}"#,
            #"{"event\u0073":[\#(event)]}"#, "[\(event)", "[\(event),]", "[\(event)}", "[\(event)]]", "[\(event)] x", "[,]", "[\(event) x]",
            "[\(event)\(event)]", "[1,\(event),\"]\",[],{}]",
            "[ nonsense , \(event) ]", "[{\"a\":[}]},\(event)]", "\(event)\n\n \t\r\n\(event)\r\n", "\(event)\n{\n\(event)", "\n\(event)",
            "\(event) \(event)", "[\"\\", "[\"", "\u{0}\n\(event)",
            "\(event)\n\u{0}", #"{"events":[\#(event)]"#, #"{"events":[\#(event)]}}"#, #"{"events" [\#(event)]}"#,
            #"{"events":[\#(event)],}"#, #"{ "events" : [ \#(event) ] } "#,
        ] {
            for limit in [0, 1, 2, 100] {
                ScannerComparison.compare(Array(text.utf8), asList: true, key: "K", limit: limit)
                ScannerComparison.compare(Array(text.utf8), asList: false, key: "K", limit: limit)
            }
        }
    }

    /// Keys are guessed by what came before; a guess must not let pass what is no key.
    @Test func keysLikeThoseBefore() {
        let bodies: [[String]] = [
            [#"{"a\"b":1}"#, #"{"a\"b":2}"#, #"{"a"b":3}"#, #"{"a\"b":4}"#],
            [#"{"\u0061":1}"#, #"{"a":2}"#, #"{"\u0061":3}"#, #"{"a":4}"#],
            [
                #"{"a":1,"b":2}"#, #"{"a":1,"b":2}"#, #"{"b":1,"a":2}"#, #"{"a":1,"a":2}"#, #"{"a":1,"bc":2}"#, #"{"a":1,"b"}"#,
                #"{"a":1,"b:2}"#, #"{"a":1,"b""#, #"{"a":1,"b"#,
            ],
            [
                #"{"a":{"b":1}}"#, #"{"a.b":2}"#, #"{"a":{"b":3},"a.b":4}"#, #"{"a.b":5,"a":{"b":6}}"#, #"{"a":{"b":null},"a.b":7}"#,
                #"{"a.b":8}"#, #"{"a.b":{"c":9}}"#,
            ],
            [
                #"{"a":null,"b":1}"#, #"{"a":1,"b":null}"#, #"{"a":[],"b":{}}"#, #"{"a":1,"b":2,"c":3}"#, #"{"a":1,"b":2}"#, #"{"a":1}"#,
                #"{}"#, #"{"b":1}"#,
            ],
            ["{\"\u{E9}\":1,\"a\\n\":2}", "{\"\u{E9}\":1,\"a\n\":2}", "{\"\u{E9}\":1,\"a\\n\":2}", "{\"e\u{301}\":1}"],
        ]
        for properties in bodies {
            let events = properties.map(Self.withProperties)
            ScannerComparison.compare(Array(events.joined(separator: [10])), asList: false)
            ScannerComparison.compare(Array((events + events.reversed()).joined(separator: [10])), asList: false)
            ScannerComparison.compare([91] + Array(events.joined(separator: [44])) + [93], asList: true)
            ScannerComparison.compare(Array(events.joined(separator: [10])) + Self.withProperties(properties[0]).dropLast(4), asList: false)
        }
    }

    @Test func aLongEventsText() {
        let start = Array(#"{"user_id":"u",\#(tail),"x":""#.utf8)
        for more in [-1, 0, 1] {
            let event = start + [UInt8](repeating: 97, count: Limits.eventTextBytes - start.count - 2 + more) + Array("\"}".utf8)
            ScannerComparison.compare(event + [10], asList: false)
            ScannerComparison.compare([91] + event + [93], asList: true)
        }
    }
}
