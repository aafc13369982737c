import CoordinatorService
import FunnelModel
import FunnelProtocol
import Metadata
import Testing

/// Annotations of trends: documents, ranges, limits.
struct AnnotationsTests {
    private static let now: Int64 = 1_767_312_000_000_000  // 2026-01-02T00:00:00Z

    private static func faults(_ document: JSONValue) -> [String] {
        do {
            _ = try Annotation.parse(document, now: now)
            return []
        } catch {
            return error.faults.map { "\($0.field): \($0.reason)" }
        }
    }

    @Test func documents() throws {
        let least = try Annotation.parse(["id": "a", "text": "Release 42"], now: Self.now)
        #expect(least.json == ["id": "a", "time": "2026-01-02T00:00:00Z", "text": "Release 42"])
        let whole: JSONValue = ["id": "b", "time": "2026-01-03T09:30:00+01:00", "text": "Новые цены", "funnel_id": "shop"]
        let saved = try Annotation.parse(whole, now: Self.now)
        #expect(saved.json["time"] == "2026-01-03T08:30:00Z" && saved.funnelID == "shop")
        #expect(try Annotation.parse(saved.json, now: 0) == saved)
    }

    @Test(
        arguments: [
            ([:], ["text: must have 1 to 200 bytes"]),
            (["text": ""], ["text: must have 1 to 200 bytes"]),
            (["text": .text(String(repeating: "ä", count: 101))], ["text: must have 1 to 200 bytes"]),
            (["text": 3], ["text: must be a string, not a number"]),
            (["text": "a", "time": "2026-01-02"], ["time: must be an RFC 3339 instant; \"2026-01-02\" is not"]),
            (["text": "a", "time": "1767312000"], ["time: must be an RFC 3339 instant; \"1767312000\" is not"]),
            (["text": "a", "funnel_id": "a/b"], ["funnel_id: must match [A-Za-z0-9_.-]{1,128}"]),
            (["text": "a", "colour": "red"], ["colour: is not a known member; known are funnel_id, id, text, time"]),
        ] as [(JSONValue, [String])])
    func faultsOfDocuments(_ document: JSONValue, _ faults: [String]) {
        #expect(Self.faults(document) == faults)
    }

    @Test func rangesAndFunnels() async throws {
        try await withMetadataStore { store in
            let annotations = Annotations(store)
            for (i, funnel) in [nil, "shop", "other"].enumerated() {
                // The ids are in the opposite order.
                let more: [JSONValue.Member] = funnel.map { [.init("funnel_id", .text($0))] } ?? []
                let annotation = try Annotation.parse(
                    .object([.init("id", .text("a\(9 - i)")), .init("text", "x")] + more), now: Self.now + Int64(i) * 1_000_000)
                #expect(try await annotations.put(annotation, project: 1).created)
            }
            func ids(_ range: Range<Int64>, funnel: ByteString? = nil, project: UInt32 = 1) async throws -> [String] {
                try await annotations.list(range, funnel: funnel, project: project).map(\.id)
            }
            #expect(try await ids(.min ..< .max) == ["a9", "a8", "a7"])
            #expect(try await ids(.min ..< .max, funnel: "shop") == ["a9", "a8"])
            #expect(try await ids(Self.now + 1..<Self.now + 2_000_000) == ["a8"])
            #expect(try await ids(.min ..< .max, project: 2) == [])
            await #expect(throws: AccessRefusal.unknownDocument("annotation")) { try await annotations.delete("a9", project: 2) }
            let (saved, revision) = try #require(try await annotations.get("a8", project: 1))
            #expect(saved.funnelID == "shop")
            await #expect(throws: ProtocolError.self) {
                try await annotations.put(saved, if: FunnelPrecondition(ifNoneMatch: "*"), project: 1)
            }
            #expect(try await annotations.put(saved, project: 1) == (revision, false))
            try await annotations.delete("a8", project: 1)
            #expect(try await ids(.min ..< .max) == ["a9", "a7"])
        }
    }
}
