import FunnelModel
import TestSupport
import Testing

import EventSDKs

struct BodyTests {
    @Test func base64IsReadInBothAlphabets() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar", "subjects?_d", "{\"a\":\"~~~???\"}"] {
            #expect(Base64.decode(Array(base64(text).utf8)) == Array(text.utf8))
            #expect(Base64.decode(Array(base64(text, url: true).utf8)) == Array(text.utf8))
        }
        // A form reads a bare plus as a blank; Python ends base64 with a line end.
        #expect(Base64.decode(Array("+/+/".utf8)) == Base64.decode(Array(" / /".utf8)))
        #expect(Base64.decode(Array("Zm8=\n".utf8)) == Array("fo".utf8))
        for text in ["A", "AAAAA", "Zm8=x", "Z===", "Zm9v=", "Zm8==", "Zm\u{0}v", "Zm9%", "é", "====", "=", "Zm9v\nZm9v"] {
            #expect(Base64.decode(Array(text.utf8)) == nil, "\(text)")
        }
    }

    @Test func formsAreDecoded() {
        func value(_ text: String) -> String? { FormFields(Array(text.utf8)).value("data").map { String(decoding: $0, as: UTF8.self) } }
        #expect(value("ip=0&data=a%20b+c%2Bd&data=2") == "a b c+d")
        #expect(value("data=") == "")
        #expect(value("data") == "")
        #expect(value("data=a=b") == "a=b")
        #expect(value("&&x&=&data=1") == "1")
        for broken in ["data=%", "data=%2", "data=%zz", "data=%2x", "data=x%", "", "x=1", "%64ata=1"] { #expect(value(broken) == nil) }
        #expect(FormFields(Array("a=%FF".utf8)).members() == nil)
        #expect(FormFields(Array("a=%C3%A9&b".utf8)).members() == [.init("a", "é"), .init("b", "")])
    }

    @Test func aBrokenRecordDoesNotBreakTheOthers() throws {
        let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        let text = #"{"batch":[{"a":1},{"b":tru},{"c":\#(deep)},{"d":"\u{1}"},{"e":-Infinity}, 7 ],"k":NaN}"#
        let body = try BodyRecords.list(Array(text.utf8), named: "batch", takesSingle: false, limit: 6)
        #expect(body.envelope == ["batch": [], "k": nil])
        let records = (0..<body.count).map { index in Result { () throws(EventFault) in try body.record(index).value } }
        #expect(try records[0].get() == ["a": 1])
        #expect(throws: EventFault("body", "malformed JSON at byte 5 of the event: not a JSON value", "json_invalid")) {
            try records[1].get()
        }
        #expect(throws: EventFault.self) { try records[2].get() }
        #expect(throws: EventFault.self) { try records[3].get() }
        #expect(try records[4].get() == ["e": nil])
        #expect(try records[5].get() == 7)
    }

    @Test func bodiesThatCannotBeReadAsAWhole() throws {
        func fault(_ text: String, limit: Int = 9) -> SDKFault? {
            do throws(SDKFault) {
                _ = try BodyRecords.list(Array(text.utf8), named: "batch", takesSingle: false, limit: limit)
                return nil
            } catch {
                return error
            }
        }
        #expect(fault(#"{"batch":[1,2,3]}"#, limit: 3) == nil)
        #expect(fault(#"{"batch":[1,2,3,4]}"#, limit: 3) == .tooManyEvents(limit: 3))
        #expect(fault(#"{"x":1}"#) == .malformed("the body has no list \"batch\""))
        #expect(fault(#"{"batch":{}}"#) == .malformed("the body has no list \"batch\""))
        for text in [
            "", "{", #"{"batch":["#, #"{"batch":[1}"#, #"{"batch":[1]}x"#, #"{"batch":[1],"batch":[2]}"#, #"{"batch":[1],"k":tru}"#, "nul",
        ] {
            guard case .malformed = fault(text) else {
                Issue.record("\(text): \(String(describing: fault(text)))")
                continue
            }
        }
        let lines = try BodyRecords.lines(Array("\u{FEFF}{\"a\":1}\r\n\n  \n{\"b\":2}".utf8), limit: 2)
        #expect(lines.count == 2)
        #expect(try lines.record(1).value == ["b": 2])
        #expect(throws: SDKFault.tooManyEvents(limit: 1)) { try BodyRecords.lines(Array("1\n2".utf8), limit: 1) }
    }

    @Test func aRecordOverTheLimitIsRejectedAlone() throws {
        let long = String(repeating: "x", count: Limits.eventTextBytes)
        let body = try BodyRecords.list(Array("[\"\(long)\",1]".utf8), named: "", takesSingle: false, limit: 9)
        #expect(throws: EventFault.self) { try body.record(0) }
        #expect(try body.record(1).value == 1)
    }
}
