import Foundation
import FunnelModel
import TestSupport
import Testing

/// No error is told in Swift's own form, such as `JSONError(offset: 81, …)`.
struct ErrorWordsTests {
    /// Errors that never leave the code that throws them.
    private static let inner: Set<String> = ["Unusual", "TooMany"]

    @Test func everyErrorTypeHasADescription() throws {
        let root = Repository.root.appendingPathComponent("Sources")
        let paths = (FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []).filter {
            $0.hasSuffix(".swift")
        }
        let texts = try paths.map { try String(contentsOf: root.appendingPathComponent($0), encoding: .utf8) }
        // The last part of a name: what is nested is known by it.
        let described = Set(
            texts.flatMap { text in
                text.matches(
                    of: #/(?:extension|struct|enum|class|actor)\s+(?:\w+\.)*(\w+)\s*:[^{]*\b(?:CustomStringConvertible|LocalizedError)\b/#
                )
                .map { String($0.1) }
            })
        var found = 0
        for (path, text) in zip(paths, texts) {
            for match in text.matches(of: #/(?:extension|struct|enum|class|actor)\s+(?:\w+\.)*(\w+)\s*:[^{]*\bError\b[^{]*\{/#) {
                let name = String(match.1)
                found += 1
                #expect(described.contains(name) || Self.inner.contains(name), "\(path): \(name)")
            }
        }
        #expect(found > 15)
    }

    @Test func theErrorsOfTheModelAreToldInWords() throws {
        let json = try #require(throws: JSONError.self) { try JSONParser.parse(Array("[1, x".utf8)) }
        #expect("\(json)" == "malformed JSON at byte 4: \(json.reason)")
        let errors: [(any Error, String)] = [
            (ByteError(offset: 258, reason: "step 0"), "step 0, at byte 258"),
            (Timestamp.Fault(reason: "no such day"), "no such day"), (EventFault("timestamp", "no such day"), "timestamp: no such day"),
            (EventBodyError.noList, "the body has no list of events"), (EventBodyError.tooMany(7), "more than 7 events"),
            (EventBodyError.json(json), "\(json)"),
            (InvalidDocument([FieldFault("a", "is b"), FieldFault("c", "is d")]), "a: is b; c: is d"), (CancellationError(), "cancelled"),
        ]
        for (error, text) in errors { #expect(words(error) == text) }
    }
}
