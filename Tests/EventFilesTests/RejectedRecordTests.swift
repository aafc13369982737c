import EventFiles
import EventShapes
import Foundation
import FunnelModel
import Testing

/// What is said and kept of a record that is rejected; `FILES.md` sections 8 and 9.
struct RejectedRecordTests {
    private func outcomes(_ text: String, _ options: FileOptions = ReadFile.options()) throws -> [RecordOutcome] {
        let file = try TestFile(text)
        defer { file.remove() }
        let source = try EventFile(path: file.url.path, options: options, now: ReadFile.now)
        var found: [RecordOutcome] = []
        while let read = try source.next(rows: 3, bytes: 1 << 20) { found += read.outcomes }
        return found
    }

    private func reason(_ outcome: RecordOutcome) -> String {
        if case .rejected(let fault) = outcome.kind { return fault.reason }
        return ""
    }

    private func preset(_ name: String) -> FileOptions {
        ReadFile.options { options in
            guard let found = FilePreset.named(name) else { return }
            (options.shape, options.table, options.product, options.required) = (found.shape, found.table, found.product, [])
        }
    }

    @Test func aRowThatCannotBeReadKeepsItsText() throws {
        let rows = ["u1,a", "\"u2\",a,2026-01-01,\"1\n2\",", "u3,a,\"open", "u4,,2026-01-01,5", "u5,a,2026-01-01,6"]
        let found = try outcomes("user_id,event,timestamp,n\r\n\r\n" + rows.joined(separator: "\r\n"))
        try #require(found.map { reason($0).isEmpty } == [false, true, false, false, true], "\(found)")
        #expect(found[0].record == [.init("text", "u1,a")] && found[0].lines == 3...3)
        #expect(found[1].record.isEmpty && reason(found[1]).isEmpty)
        #expect(found[2].record == [.init("text", "u3,a,\"open")])
        #expect(found[3].record.map(\.key) == ["event"] && found[3].record[0].value["user_id"] == "u4")
        #expect(found[4].record.isEmpty && reason(found[4]).isEmpty)
        let zoned = try outcomes(
            "user_id,event,timestamp\nu,a,bad\nu,a,2026-01-01\n", ReadFile.options { $0.shape.timeFormat = try? TimeFormat("%Y-%m-%d") })
        #expect(zoned[0].record == [.init("text", "u,a,bad")] && zoned[1].record.isEmpty)
        let product = try outcomes("distinct_id,event,timestamp,uuid\n,paid,2026-01-01T10:00:00Z,i0\n", preset("posthog-csv"))
        #expect(product.map(\.record) == [[.init("text", ",paid,2026-01-01T10:00:00Z,i0")]])
    }

    /// The text that is kept has a limit, also of a row that has none itself.
    @Test func aLongRowIsKeptInPart() throws {
        let found = try outcomes(
            "user_id,event,timestamp\nu,a," + String(repeating: "é", count: Limits.eventTextBytes) + "\nu,a,2026-01-01\n")
        #expect(found.count == 2 && found[1].record.isEmpty)
        let text = try #require(found[0].record.first?.value.asString)
        #expect(text.count == 64 << 10 && text.string.hasPrefix("u,a,éé"))
    }

    @Test func theHintOfTimesIsForOtherForms() throws {
        let hint = "; --timestamp-format reads other forms"
        for (time, isOther) in [
            ("31.12.2024", true), ("2026-01-01 10:00 PM", true), ("2026-01-01T10:00:00Z x", true), ("soon: now", true),
            ("2026-02-30", false),
            ("2099-01-01", false), ("1960-01-01", false), ("99999999999999999999", false), ("2026-01-01T25:00:00Z", false),
        ] {
            let found = try outcomes("user_id,event,timestamp\nu,a,\(time)\n")
            let reason = reason(try #require(found.first))
            #expect(reason.hasPrefix("timestamp: ") && reason.hasSuffix(hint) == isOther, "\(time): \(reason)")
        }
        let again = try outcomes(
            #"{"reason":"","event":{"user_id":"u","event":"a","timestamp":"31.12.2024"}}"#,
            ReadFile.options { $0.unwrap = { line throws(EventFault) in .events([line["event"] ?? .null]) } })
        let reason = reason(try #require(again.first))
        #expect(reason.hasPrefix("timestamp: ") && !reason.contains("--"), "\(reason)")
    }

    @Test func aRetriedLineKeepsWhatAnotherRetryNeeds() throws {
        let options = ReadFile.options {
            $0.unwrap = { line throws(EventFault) in
                if let event = line["event"] { return .events([event]) }
                if line["text"] != nil { return .record(["event": "a"]) }
                throw EventFault("record", "no")
            }
        }
        let lines = [
            #"{"time":"t","project":1,"endpoint":"/batch/","key":"k","reason":"r","field":"f","product":"posthog","record":{"a":1}}"#,
            #"{"time":"t","reason":"r","text":"{}","cut":true}"#, #"{"reason":"r","event":{"user_id":"u","event":"a"}}"#,
            #"{"reason":"r","event":{"user_id":"u","event":"a","timestamp":"2026-01-01","properties":{"a":1,"a":2}}}"#,
            #"{"reason":"r","event":{"user_id":"u","event":"a","timestamp":"2026-01-01","properties":{"a":"\ud800"}}}"#,
        ]
        let found = try outcomes(lines.joined(separator: "\n"), options)
        #expect(
            found.map { $0.record.map(\.key) } == [
                ["time", "project", "endpoint", "product", "record"], ["time", "text", "cut"], ["event"], ["event"], ["event"],
            ])
        #expect(reason(found[2]) == "timestamp: is missing or empty")
        #expect(reason(found[3]).hasPrefix("properties.a: ") && reason(found[4]).hasPrefix("properties.a: "), "\(found)")
        #expect(found[3].record[0].value["properties"]?.asObject?.count == 2)
    }

    @Test func eachRecordOfAProductHasItsClaims() throws {
        func event(_ name: String, _ properties: String) -> String {
            #"{"event":"\#(name)","properties":{"time":1767261600,"$insert_id":"\#(name)",\#(properties)}}"# + "\n"
        }
        let text =
            event("a", #""$device_id":"d","$user_id":"u","distinct_id":"u""#)
            + event("$identify", #""distinct_id":"u","$identified_id":"u","$anon_distinct_id":"$device:d""#)
            + event("$identify", #""distinct_id":"u","$identified_id":"u","$anon_distinct_id":"$device:d""#)
        let found = try outcomes(text, preset("mixpanel-export"))
        #expect(found.map { $0.claims.map { "\($0.child) \($0.parent)" } } == Array(repeating: ["d u"], count: 3))
        let nobody = try outcomes(event("a", #""b":1"#), preset("mixpanel-export"))
        #expect(nobody.map(reason).allSatisfy { $0.hasPrefix("properties.distinct_id: is missing or empty") }, "\(nobody)")
    }
}
