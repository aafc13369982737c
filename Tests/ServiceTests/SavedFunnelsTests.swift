import CoordinatorService
import Foundation
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Testing

/// Saved funnels, and which is the default, in a real file.
struct SavedFunnelsTests {
    private func withStore(_ body: (SQLiteMetadataStore, SavedFunnels) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-savedFunnels-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteMetadataStore(path: folder.appendingPathComponent("metadata.sqlite").path)
        try await body(store, SavedFunnels(store, logger: Logger(label: "test")))
    }

    private func definition(_ steps: [ByteString], isDefault: Bool = false) -> FunnelDefinition {
        var definition = FunnelDefinition(steps: steps.map { .init($0) })
        definition.isDefault = isDefault
        return definition
    }

    @Test func oneThatCannotBeReadCostsNobodyElse() async throws {
        try await withStore { store, savedFunnels in
            _ = try await savedFunnels.put(definition(["a", "b"]), id: "good", project: 1)
            _ = try await store.compareAndSet(
                "funnel/1/later", expected: 0, value: Array(#"{"steps":["a"],"standing":true,"window_duration":"1y"}"#.utf8))
            #expect(try await savedFunnels.list(project: 1).map(\.definition.id) == ["good"])
            #expect(try await savedFunnels.defaultFunnel(project: 1).id == "good")
            let error = await #expect(throws: ProtocolError.self) { try await savedFunnels.get("later", project: 1) }
            #expect(error?.code == .invalidQuery && error?.message.contains("\"later\"") == true)
            #expect(error?.faults.map(\.field).contains("window_duration") == true)
            // Nor is it in the way of its own repair, or end.
            _ = try await savedFunnels.put(definition(["c"], isDefault: true), id: "later", project: 1)
            #expect(try await savedFunnels.defaultFunnel(project: 1).id == "later")
            #expect(try await savedFunnels.delete("later", project: 1))
            #expect(try await savedFunnels.defaultFunnel(project: 1).id == "good")
        }
    }

    @Test func aDefaultThatCannotBeReadIsNotReplacedInSilence() async throws {
        try await withStore { store, savedFunnels in
            _ = try await savedFunnels.put(definition(["a", "b"]), id: "good", project: 1)
            _ = try await savedFunnels.put(definition(["a"], isDefault: true), id: "later", project: 1)
            _ = try await store.compareAndSet("funnel/1/later", expected: nil, value: Array("{".utf8))
            await #expect(throws: ProtocolError.self) { try await savedFunnels.defaultFunnel(project: 1) }
            #expect(try await savedFunnels.list(project: 1).map(\.definition.id) == ["good"])
        }
    }

    @Test func writesOfSeveralKeysAreMadeTogetherOrNotAtAll() async throws {
        try await withStore { store, _ in
            let first = try await store.compareAndSet([
                MetadataWrite(key: "a", expected: 0, value: [1]), MetadataWrite(key: "b", expected: nil, value: [2]),
            ])
            #expect(try await store.get("a")?.revision == first)
            #expect(try await store.get("b")?.revision == first)
            let conflict = await #expect(throws: RevisionConflict.self) {
                try await store.compareAndSet([
                    MetadataWrite(key: "a", expected: first, value: [3]), MetadataWrite(key: "b", expected: 0, value: nil),
                ])
            }
            #expect(conflict?.key == "b" && conflict?.current == first)
            #expect(try await store.get("a")?.value == [1])
            #expect(try await store.get("b")?.value == [2])
        }
    }

    /// RFC 9110 sections 8.8.3 and 13.1: by header and revision (0 = not saved), whether a change is allowed.
    @Test(
        arguments: [
            ("*", nil, 0, false), ("*", nil, 4, true), (" * ", nil, 0, false), (#""4""#, nil, 4, true), (#""4""#, nil, 5, false),
            (#""4""#, nil, 0, false), (#""3", "4" ,"9""#, nil, 4, true), (#""3","9""#, nil, 4, false), ("4", nil, 4, true),
            (#"W/"4""#, nil, 4, false), (#""a,4""#, nil, 4, false), (#""a","4""#, nil, 4, true), ("text", nil, 4, false),
            ("", nil, 4, false), ("+4", nil, 4, false), (#""0""#, nil, 0, false), (nil, "*", 0, true), (nil, "*", 4, false),
            (nil, #""4""#, 4, false), (nil, #"W/"4""#, 4, false), (nil, #""4""#, 5, true), (nil, #""4""#, 0, true), ("*", "*", 0, false),
            (#""4""#, #""5""#, 4, true), (nil, nil, 0, true), (nil, nil, 4, true),
        ] as [(String?, String?, UInt64, Bool)])
    func preconditions(ifMatch: String?, ifNoneMatch: String?, revision: UInt64, isAllowed: Bool) {
        let reason = FunnelPrecondition(ifMatch: ifMatch, ifNoneMatch: ifNoneMatch).conflict(at: revision)
        #expect((reason == nil) == isAllowed, "\(reason ?? "")")
    }

    /// `If-Match: *` needs a saved funnel, of any revision.
    @Test func anyRevisionIsOneThatExists() async throws {
        try await withStore { store, savedFunnels in
            let any = FunnelPrecondition(ifMatch: "*")
            let missing = await #expect(throws: ProtocolError.self) {
                try await savedFunnels.put(definition(["a"]), id: "f", if: any, project: 1)
            }
            #expect(missing?.code == .conflict && missing?.message == "no funnel is saved under this id, and If-Match: * needs one")
            #expect(try await savedFunnels.get("f", project: 1) == nil)
            #expect(try await savedFunnels.delete("f", if: any, project: 1) == false)
            let first = try await savedFunnels.put(definition(["a"]), id: "f", project: 1)
            #expect(first.created)
            let second = try await savedFunnels.put(definition(["b"]), id: "f", if: any, project: 1)
            #expect(!second.created && second.saved.revision > first.saved.revision)
            let stale = FunnelPrecondition(ifMatch: "\"\(first.saved.revision)\"")
            await #expect(throws: ProtocolError.self) { try await savedFunnels.delete("f", if: stale, project: 1) }
            #expect(try await savedFunnels.delete("f", if: any, project: 1))
            #expect(try await store.get("funnel/1/f") == nil)
        }
    }

    @Test func onlyOneIsTheDefaultWhoeverIsFaster() async throws {
        try await withStore { _, savedFunnels in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for i in 0..<20 {
                    group.addTask {
                        _ = try await savedFunnels.put(
                            definition(["a"], isDefault: i % 2 == 0), id: ByteString("f\(i)"), if: .init(ifNoneMatch: "*"), project: 1)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await savedFunnels.list(project: 1).count { $0.definition.isDefault } == 1)
            let before = try await savedFunnels.list(project: 1).first { $0.definition.isDefault }
            let stale = await #expect(throws: ProtocolError.self) {
                try await savedFunnels.put(definition(["b"], isDefault: true), id: "f1", if: .init(ifNoneMatch: "*"), project: 1)
            }
            #expect(stale?.code == .conflict)
            #expect(try await savedFunnels.list(project: 1).first { $0.definition.isDefault }?.definition.id == before?.definition.id)
        }
    }
}
