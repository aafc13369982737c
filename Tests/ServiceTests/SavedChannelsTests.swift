import CoordinatorService
import FunnelModel
import FunnelProtocol
import Metadata
import Notifications
import Testing

/// Channels in the metadata: revisions, secrets, limits, and kinds that a setting must allow.
struct SavedChannelsTests {
    private static let hook: JSONValue = [
        "kind": "webhook", "settings": ["url": "https://hooks.example.com/1", "secret": "0123456789abcdef"],
    ]

    private func open(_ store: any MetadataStore) -> SavedChannels {
        SavedChannels(store, settings: NoticeSettings(sender: .init(targets: .none)), logger: FakeShards.quiet)
    }

    @Test func secretsStayAndAreNotShown() async throws {
        try await withMetadataStore { store in
            let channels = open(store)
            let (saved, created) = try await channels.put(Self.hook, id: "ops", project: 1)
            #expect(created)
            #expect(
                saved.channel.json == [
                    "id": "ops", "kind": "webhook", "settings": ["host": "hooks.example.com", "secrets": ["url", "secret"]],
                ])
            // What was read can be sent back.
            let (again, isNew) = try await channels.put(saved.channel.json, id: "ops", project: 1)
            #expect(!isNew && again == saved)
            #expect(try await channels.get("ops", project: 1) == saved)
            #expect(try await channels.get("ops", project: 2) == nil)
            await #expect(throws: ProtocolError.self) {
                try await channels.put(Self.hook, id: "ops", if: FunnelPrecondition(ifNoneMatch: "*"), project: 1)
            }
            try await channels.delete("ops", project: 1)
            await #expect(throws: AccessRefusal.unknownDocument("channel")) { try await channels.delete("ops", project: 1) }
        }
    }

    @Test(
        arguments: [
            (["kind": "email", "settings": ["to": ["a@example.com"]]], "--sendmail"),
            (["kind": "file", "settings": ["file": "log"]], "--notice-directory"),
        ] as [(JSONValue, String)])
    func kindsThatASettingMustAllow(_ document: JSONValue, _ setting: String) async throws {
        try await withMetadataStore { store in
            let error = await #expect(throws: InvalidDocument.self) { try await open(store).put(document, id: "c", project: 1) }
            #expect(error?.faults.map(\.field) == ["kind"])
            #expect(error?.faults.first?.reason.contains(setting) == true)
        }
    }

    @Test func aProjectHasALimit() async throws {
        try await withMetadataStore { store in
            let channels = open(store)
            for i in 0..<SavedChannels.perProject { _ = try await channels.put(Self.hook, id: "c\(i)", project: 1) }
            await #expect(throws: AccessRefusal.documents("channel", SavedChannels.perProject)) {
                try await channels.put(Self.hook, id: "more", project: 1)
            }
            #expect(try await channels.put(Self.hook, id: "more", project: 2).created)
        }
    }
}
