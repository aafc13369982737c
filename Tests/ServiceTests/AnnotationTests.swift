import CoordinatorService
import FunnelModel
import FunnelProtocol
import Metadata
import Testing

/// Annotations: what is read, and what is kept in the metadata.
struct AnnotationTests {
    private static let noon: JSONValue = "2026-01-31T12:00:00Z"

    private static func annotation(_ id: String, _ more: [JSONValue.Member] = []) throws -> Annotation {
        let members: [JSONValue.Member] = [.init("id", .text(id)), .init("text", "Release 42"), .init("start", noon)]
        return try Annotation.parse(.object(members.filter { own in !more.contains { $0.key == own.key } } + more))
    }

    private func open(_ store: any MetadataStore) -> SavedAnnotations {
        SavedAnnotations(store, SavedFunnels(store, logger: FakeShards.quiet), logger: FakeShards.quiet)
    }

    // MARK: - Documents

    @Test func aDocumentIsReadAndWrittenBack() throws {
        let given: JSONValue = [
            "id": "outage", "text": "Zahlung aus 🚧", "start": "2026-01-31T13:00+01:00", "end": "2026-01-31T14:30:00.5Z",
            "funnel_id": "shop",
        ]
        let read = try Annotation.parse(given)
        #expect(read.start == 1_769_860_800_000_000 && read.end == 1_769_869_800_500_000 && read.funnelID == "shop")
        #expect(
            read.json == [
                "id": "outage", "text": "Zahlung aus 🚧", "start": "2026-01-31T12:00:00Z", "end": "2026-01-31T14:30:00.500Z",
                "funnel_id": "shop",
            ])
        #expect(try Annotation.parse(read.json) == read)
        // An instant, of all funnels. A planned one may be ahead of now.
        let instant = try Annotation.parse(["id": "r", "text": "x", "start": "2100-01-01T00:00:00Z", "end": .null, "funnel_id": .null])
        #expect(instant.end == nil && instant.funnelID == nil)
        #expect(instant.json == ["id": "r", "text": "x", "start": "2100-01-01T00:00:00Z"])
        #expect(try Self.annotation("r", [.init("text", .text(String(repeating: "é", count: 100)))]).text.utf8.count == 200)
        #expect(try Self.annotation("r", [.init("end", Self.noon)]).end == 1_769_860_800_000_000)
    }

    @Test func allFaultsComeAtOnce() {
        let error = #expect(throws: InvalidDocument.self) { try Annotation.parse(["title": "x"]) }
        #expect(error?.faults.map(\.field) == ["id", "text", "start", "title"])
        #expect(throws: InvalidDocument.self) { try Annotation.parse([]) }
    }

    @Test(
        arguments: [
            ("id", "a b", "must match"), ("id", "", "must match"), ("id", 1, "must be a string"),
            ("id", .text(String(repeating: "a", count: 129)), "{1,128}"),
            ("text", "", "1 to 200 bytes"), ("text", "  ", "not only blanks"), ("text", "two\nlines", "no control characters"),
            ("text", "\u{202E}txet", "no control characters"), ("text", .text(String(repeating: "é", count: 101)), "1 to 200 bytes"),
            ("text", ["x"], "must be a string"),
            ("start", "yesterday", "\"yesterday\" is not"), ("start", "2026-01-31", "RFC 3339 instant"),
            ("start", "2026-01-31T12:00:00", "RFC 3339 instant"), ("start", "1769860800", "RFC 3339 instant"),
            ("start", 1_769_860_800, "must be a string"), ("start", "1969-12-31T00:00:00Z", "RFC 3339 instant"),
            ("end", "2026-01-31T11:59:59Z", "is before start"), ("end", "later", "\"later\" is not"),
            ("funnel_id", "a/b", "must match"),
        ] as [(ByteString, JSONValue, String)])
    func aFaultNamesItsMember(_ member: ByteString, _ value: JSONValue, _ reason: String) {
        let id = member == "id" ? "unused" : "r"
        let error = #expect(throws: InvalidDocument.self) { try Self.annotation(id, [.init(member, value)]) }
        #expect(error?.faults.map(\.field) == [member.string])
        #expect(error?.faults.first?.reason.contains(reason) == true, "\(error?.faults ?? [])")
    }

    @Test func aRangeHasWhatOverlapsIt() throws {
        let instant = try Self.annotation("r")
        let span = try Self.annotation("s", [.init("end", "2026-02-02T00:00:00Z")])
        func isIn(_ annotation: Annotation, _ parameters: JSONValue) throws -> Bool {
            annotation.isWithin(try Annotation.readRange(parameters))
        }
        #expect(try isIn(instant, [:]) && isIn(instant, ["start": "2026-01-31", "end": "2026-01-31"]))
        #expect(try isIn(instant, ["start": Self.noon]))
        // The end of a range of instants is excluded, that of a range of days is its last day.
        #expect(try !isIn(instant, ["end": Self.noon]) && !isIn(instant, ["start": "2026-02-01"]))
        #expect(try isIn(span, ["start": "2026-02-01", "end": "2026-02-01"]) && isIn(span, ["start": "2026-02-02"]))
        #expect(try !isIn(span, ["start": "2026-02-03"]) && !isIn(span, ["end": "2026-01-30"]))
        // At noon in UTC, the next day has begun on Kiritimati.
        #expect(try isIn(instant, ["start": "2026-02-01", "time_zone": "Pacific/Kiritimati"]))
        let error = #expect(throws: InvalidDocument.self) {
            try Annotation.readRange(["start": "soon", "time_zone": "Nowhere", "from": "2026-01-01"])
        }
        #expect(Set(error?.faults.map(\.field) ?? []) == ["start", "time_zone", "from"])
        #expect(throws: InvalidDocument.self) { try Annotation.readRange(["start": "2026-02-01", "end": "2026-01-01"]) }
    }

    // MARK: - Kept

    @Test func revisionsGuardChanges() async throws {
        try await withMetadataStore { store in
            let annotations = open(store)
            let (first, created) = try await annotations.put(Self.annotation("r"), project: 1)
            #expect(created)
            #expect(try await annotations.get("r", project: 1) == first)
            // The same again is no change.
            let (same, isNew) = try await annotations.put(Self.annotation("r"), project: 1)
            #expect(!isNew && same == first)
            let changed = try Self.annotation("r", [.init("text", "Release 43")])
            let (second, _) = try await annotations.put(
                changed, if: FunnelPrecondition(ifMatch: "\"\(first.revision)\""), project: 1)
            #expect(second.annotation.text == "Release 43" && second.revision > first.revision)
            for stale in [FunnelPrecondition(ifMatch: "\"\(first.revision)\""), FunnelPrecondition(ifNoneMatch: "*")] {
                let error = await #expect(throws: ProtocolError.self) { try await annotations.put(changed, if: stale, project: 1) }
                #expect(error?.code == .conflict && error?.message.contains("the annotation is at revision") == true)
            }
            await #expect(throws: ProtocolError.self) {
                try await annotations.delete("r", if: FunnelPrecondition(ifMatch: "\"\(first.revision)\""), project: 1)
            }
            try await annotations.delete("r", if: FunnelPrecondition(ifMatch: "\"\(second.revision)\""), project: 1)
            #expect(await refusal { _ = try await annotations.get("r", project: 1) } == .unknownDocument("annotation"))
            #expect(await refusal { try await annotations.delete("r", project: 1) } == .unknownDocument("annotation"))
        }
    }

    @Test func aListIsInTheOrderOfTimeAndOfOneProject() async throws {
        try await withMetadataStore { store in
            let annotations = open(store)
            for (id, day) in [("c", 3), ("a", 9), ("b", 3), ("d", 1)] {
                _ = try await annotations.put(Self.annotation(id, [.init("start", .text("2026-01-0\(day)T00:00:00Z"))]), project: 1)
            }
            _ = try await annotations.put(Self.annotation("other"), project: 2)
            #expect(try await annotations.list(project: 1).map(\.id) == ["d", "b", "c", "a"])
            let range = try Annotation.readRange(["start": "2026-01-02", "end": "2026-01-03"])
            #expect(try await annotations.list(project: 1, in: range).map(\.id) == ["b", "c"])
            #expect(try await annotations.list(project: 12).isEmpty)
            #expect(await refusal { _ = try await annotations.get("other", project: 1) } == .unknownDocument("annotation"))
            #expect(await refusal { try await annotations.delete("other", project: 1) } == .unknownDocument("annotation"))
        }
    }

    @Test func oneOfALaterReleaseIsLeftOut() async throws {
        try await withMetadataStore { store in
            let annotations = open(store)
            _ = try await annotations.put(Self.annotation("good"), project: 1)
            let later: JSONValue = ["id": "later", "text": "x", "start": Self.noon, "colour": "red"]
            _ = try await store.compareAndSet("annotation/1/later", expected: 0, value: later.encode())
            _ = try await store.compareAndSet("annotation/1/bytes", expected: 0, value: [0xFF])
            #expect(try await annotations.list(project: 1).map(\.id) == ["good"])
            let error = await #expect(throws: ProtocolError.self) { try await annotations.get("later", project: 1) }
            #expect(error?.code == .invalidQuery && error?.message.contains("another version") == true)
            _ = try await annotations.put(Self.annotation("later"), project: 1)
            #expect(try await annotations.list(project: 1).map(\.id) == ["good", "later"])
        }
    }

    @Test func aFunnelThatDoesNotExistIsAFault() async throws {
        try await withMetadataStore { store in
            let annotations = open(store)
            let ofShop = try Self.annotation("r", [.init("funnel_id", "shop")])
            let error = await #expect(throws: InvalidDocument.self) { try await annotations.put(ofShop, project: 1) }
            #expect(error?.faults == [FieldFault("funnel_id", "names the funnel shop, which does not exist")])
            let funnels = SavedFunnels(store, logger: FakeShards.quiet)
            _ = try await funnels.put(FunnelDefinition(steps: [.init("Visit")]), id: "shop", project: 1)
            #expect(try await annotations.put(ofShop, project: 1).created)
            await #expect(throws: InvalidDocument.self) { try await annotations.put(ofShop, project: 2) }
            // It outlives its funnel.
            #expect(try await funnels.delete("shop", project: 1))
            #expect(try await annotations.list(project: 1) == [ofShop])
        }
    }

    @Test func aProjectHasALimit() async throws {
        try await withMetadataStore { store in
            let annotations = open(store)
            _ = try await store.compareAndSet(
                (0..<SavedAnnotations.perProject).map {
                    MetadataWrite(key: "annotation/1/r\($0)", expected: 0, value: Array("{}".utf8))
                })
            await #expect(throws: AccessRefusal.documents("annotation", SavedAnnotations.perProject)) {
                try await annotations.put(Self.annotation("more"), project: 1)
            }
            // One that exists can still be changed.
            #expect(try await !annotations.put(Self.annotation("r7"), project: 1).created)
            #expect(try await annotations.put(Self.annotation("more"), project: 2).created)
            try await annotations.delete("r8", project: 1)
            #expect(try await annotations.put(Self.annotation("more"), project: 1).created)
        }
    }
}
