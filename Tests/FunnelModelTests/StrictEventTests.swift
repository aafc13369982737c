import FunnelModel
import TestSupport
import Testing

/// Events that two readers of JSON would take for different ones are rejected by themselves, with the field's name.
struct StrictEventTests {
    private static let tail = #""event":"e","timestamp":1700000000"#

    static let rejected: [(text: String, reason: String)] = [
        (#"{"user_id":"a","user_id":"b",\#(tail)}"#, "user_id: is given twice"),
        (#"{"user_id":"a","user\u005fid":"a",\#(tail)}"#, "user_id: is given twice"),
        (#"{"user_id":"a",\#(tail),"context":1,"context":2}"#, "context: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":1},"properties":{"p":1}}"#, "properties: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":1,"p":1}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":null,"p":1}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":1,"q":2,"p":null}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":null,"p":null}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":{},"p":{}}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":{"x":1},"p":{"y":1}}}"#, "properties.p: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":{"x":1,"x":2}}}"#, "properties.p.x: is given twice"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":[1,{"x":1,"x":2}]}}"#, "properties.p.x: is given twice"),
        (#"{"user_id":"a",\#(tail),"context":{"a":[{"b":1,"c":2,"b":3}]}}"#, "context.a.b: is given twice"),
        (#"{"user_id":"\ud800",\#(tail)}"#, "user_id: has half of a surrogate pair (\\u escape), which is no character"),
        (#"{"user_id":"a\udc00b",\#(tail)}"#, "user_id: has half of a surrogate pair (\\u escape), which is no character"),
        (
            #"{"user_id":"a",\#(tail),"properties":{"p":"\ud83dx"}}"#,
            "properties.p: has half of a surrogate pair (\\u escape), which is no character"
        ),
        (
            #"{"user_id":"a",\#(tail),"properties":{"\ud83d":1}}"#,
            "properties: has half of a surrogate pair (\\u escape), which is no character"
        ),
        (#"{"user_id":"a",\#(tail),"x":["\ud83d\ud83d"]}"#, "x: has half of a surrogate pair (\\u escape), which is no character"),
        (#"{"\ud83d":1,"user_id":"a",\#(tail)}"#, "body: has half of a surrogate pair (\\u escape), which is no character"),
        (#"{"user_id":"a","event":"e","timestamp":1e999}"#, "timestamp: a number is out of range: no double is as large"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":1e999}}"#, "properties.p: a number is out of range: no double is as large"),
        (#"{"user_id":"a",\#(tail),"properties":{"p":[-1e400]}}"#, "properties.p: a number is out of range: no double is as large"),
        (
            #"{"user_id":"a",\#(tail),"properties":{"p":1\#(String(repeating: "0", count: 400))}}"#,
            "properties.p: a number is out of range: no double is as large"
        ),
        (#"{"user_id":"a",\#(tail),"context":{"p":1e999}}"#, "context.p: a number is out of range: no double is as large"),
    ]

    @Test(arguments: rejected)
    func isRejectedByItself(text: String, reason: String) throws {
        let good = #"{"user_id":"v",\#(Self.tail),"properties":{"p":1,"q":null,"r":{"p":2}}}"#
        let lines = try EventScanner.lines(Array("\(good)\n\(text)\n\(good)".utf8), now: ScannerComparison.now)
        let list = try EventScanner.list(Array("[\(good),\(text),\(good)]".utf8), now: ScannerComparison.now)
        let wrapped = try EventScanner.list(Array(#"{"events":[\#(good),\#(text),\#(good)]}"#.utf8), now: ScannerComparison.now)
        for read in [lines, list, wrapped] {
            #expect(read.index == [0, 2])
            #expect(read.rejected.map(\.index) == [1] && read.rejected.map(\.fault.reason) == [reason])
        }
        let fault = #expect(throws: EventFault.self) { try EventReader(now: ScannerComparison.now).record(Array(text.utf8)) }
        #expect(fault?.reason == reason)
        ScannerComparison.compare(Array(text.utf8), asList: false)
    }

    @Test(arguments: [
        #"{"user_id":"a",\#(tail),"properties":{"p":NaN,"q":Infinity,"r":-Infinity}}"#,
        #"{"user_id":"a",\#(tail),"properties":{"p":18446744073709551616,"q":1e308,"r":1e-400}}"#,
        #"{"user_id":"\ud83d\ude00",\#(tail),"properties":{"p":{"p":{"p":1}},"q":[{"p":1},{"p":2}]}}"#,
        #"{"user_id":"a",\#(tail),"properties":{"a":{"b":1},"a.b":2,"c":null,"a.c":null},"c":null,"d":{"c":{"c":1}}}"#,
    ])
    func isTaken(text: String) throws {
        let read = try EventScanner.lines(Array(text.utf8), now: ScannerComparison.now)
        #expect(read.batch.count == 1 && read.rejected.isEmpty)
        ScannerComparison.compare(Array(text.utf8), asList: false)
    }

    @Test func theListTwiceFailsTheBody() {
        let event = #"{"user_id":"a",\#(Self.tail)}"#
        for text in [
            #"{"events":[\#(event)],"events":[\#(event)]}"#, #"{"events":[\#(event)],"x":1,"event\u0073":[]}"#,
            #"{"events":5,"events":[\#(event)]}"#,
            #"{"events":[\#(event)],"events":null}"#,
        ] {
            let error = #expect(throws: EventBodyError.self) { try EventScanner.list(Array(text.utf8), now: ScannerComparison.now) }
            #expect(error.map { "\($0)" } == "events: is given twice")
            ScannerComparison.compare(Array(text.utf8), asList: true)
        }
    }

    /// Members by the hundred, at every place of a pair.
    @Test func findsEveryPairAmongMany() {
        for count in [2, 3, 7, 40, 255, 256, 257, 600] {
            let keys = (0..<count).map { "key_\($0)_name" }
            for (first, second) in [(0, count - 1), (count / 2, count / 2 + 1), (count - 2, count - 1)]
            where second < count && first < second {
                for value in ["1", "null", "{}"] {
                    var twice = keys
                    twice[second] = keys[first]
                    let inner = twice.map { "\"\($0)\":\(value)" }.joined(separator: ",")
                    for member in ["properties", "context"] {
                        let read = try? EventScanner.lines(
                            Array(#"{"user_id":"a",\#(Self.tail),"\#(member)":{\#(inner)}}"#.utf8), now: ScannerComparison.now)
                        #expect(read?.rejected.map(\.fault.reason) == ["\(member).\(keys[first]): is given twice"])
                    }
                }
            }
        }
    }
}
