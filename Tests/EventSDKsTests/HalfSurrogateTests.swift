import EventSDKs
import FunnelModel
import Testing

/// Half of a surrogate pair in a name or an id rejects the record, as in native events. Elsewhere it reads as U+FFFD.
struct HalfSurrogateTests {
    @Test func escapesAreFound() {
        for (text, isThere) in [
            (#""\ud800""#, true), (#""\uDBFFx""#, true), (#""\udc00""#, true), (#""\ud83d\ud83d\ude00""#, true), (#""\ud83d\u0041""#, true),
            (#""\ud83d"#, true), (#""\ud83d\n""#, true), (#""\ud83d\ude00""#, false), (#""\\ud800""#, false), (#""\\\ud800""#, true),
            (#""\u00e9 \ud7ff \ue000""#, false), ("", false), (#"\"#, false), (#"\u"#, false), (#"\ud8"#, false), (#""\uzzzz""#, false),
            ("\u{FFFD}", false),
        ] {
            let bytes = Array(text.utf8)
            #expect(HalfSurrogate.isIn(bytes, 0..<bytes.count) == isThere, "\(text)")
        }
        #expect(HalfSurrogate.maybeIn("a\u{FFFD}") && !HalfSurrogate.maybeIn("aé") && !HalfSurrogate.maybeIn(ByteString([0xEF, 0xBF])))
    }

    private static let words = "has half of a surrogate pair (\\u escape), which is no character"

    @Test func namesAndIDsAreRejected() throws {
        let good = #"{"type":"track","event":"b","userId":"u"}"#
        let amplitude = #"{"event_type":"b","user_id":"u","time":1700000000000}"#
        let calls: [(path: String, body: String)] = [
            ("/v1/batch", #"{"batch":[{"type":"track","event":"%","userId":"u","messageId":"m"},\#(good)]}"#),
            ("/v1/batch", #"{"batch":[{"type":"track","event":"a","userId":"%","messageId":"m"},\#(good)]}"#),
            ("/v1/batch", #"{"batch":[{"type":"track","event":"a","userId":"u","messageId":"%"},\#(good)]}"#),
            ("/v1/batch", #"{"batch":[{"type":"alias","previousId":"%","userId":"u"},\#(good)]}"#),
            ("/batch/", #"{"batch":[{"event":"%","distinct_id":"u","uuid":"i"},{"event":"b","distinct_id":"u"}]}"#),
            ("/2/httpapi", #"{"events":[{"event_type":"%","user_id":"u","time":1700000000000},\#(amplitude)]}"#),
            ("/track", #"[{"event":"%","properties":{"distinct_id":"u"}},{"event":"b","properties":{"distinct_id":"u"}}]"#),
        ]
        for (path, body) in calls {
            for (text, isRejected) in [
                (#"\ud800"#, true), (#"a\udc00b"#, true), (#"\ud83d\ude00"#, false), ("\u{FFFD}", false), (#"\\ud800"#, false),
            ] {
                let reading = try SDKReading(.post(path, body.replacing("%", with: text)))
                #expect(reading.batch.records.count == 2 && reading.batch.records[1].rejected == nil)
                let fault = reading.batch.records[0].rejected
                #expect((fault != nil) == isRejected, "\(path) \(body) \(text): \(String(describing: fault))")
                #expect(fault == nil || fault?.message == Self.words)
            }
        }
        // A property keeps the event.
        let body = #"{"batch":[{"type":"track","event":"a","userId":"u","properties":{"p":"\ud83d"}}]}"#
        #expect(try SDKReading(.post("/v1/batch", body)).batch.records[0].rejected == nil)
    }
}
