import FunnelModel
import FunnelProtocol
import Metadata
import Testing

/// Projects: names are unique, and a number is never given twice.
struct ProjectStoreTests {
    private func create(_ projects: ProjectStore, _ name: String, used: Set<UInt32> = []) async throws -> Project {
        try await projects.create(name: name, settings: ProjectSettings(), now: 100) { used.contains($0) }
    }

    @Test func numbersThatWereEverUsedAreSkipped() async throws {
        try await withMetadataStore { store in
            let projects = ProjectStore(store)
            try await projects.ensure([1, 3, .max], now: 50)
            #expect(try await projects.list().map(\.number) == [1, 3, .max])
            #expect(try await projects.list().map(\.name) == ["project 1", "project 3", "project 4294967295"])
            _ = try await store.compareAndSet("funnel/4/shop", expected: 0, value: [])
            // 2 is free, 3 is of the environment, 4 has a saved funnel, 5 and 6 have events.
            #expect(try await create(projects, "a", used: [5, 6]).number == 2)
            #expect(try await create(projects, "b", used: [5, 6]).number == 7)
            #expect(try await create(projects, "c").number == 8)
            // The keys of the environment are gone: their numbers stay taken.
            try await projects.ensure([1], now: 60)
            #expect(try await projects.list().map(\.number) == [1, 2, 3, 7, 8, .max])
            #expect(try await projects.get(3)?.created == 50)
            #expect(try await projects.get(4) == nil)
        }
    }

    @Test func aShardThatIsAwayMakesNoProject() async throws {
        try await withMetadataStore { store in
            let projects = ProjectStore(store)
            let error = await #expect(throws: ProtocolError.self) {
                try await projects.create(name: "a", settings: ProjectSettings(), now: 1) { _ throws -> Bool in
                    throw ProtocolError(.shardUnavailable, "shard-1 does not answer")
                }
            }
            #expect(error?.code == .shardUnavailable)
            let listed = try await projects.list()
            #expect(listed.isEmpty)
            #expect(try await create(projects, "a").number == 2)
        }
    }

    @Test func namesAreUnique() async throws {
        try await withMetadataStore { store in
            let projects = ProjectStore(store)
            try await projects.ensure([1], now: 1)
            let shop = try await create(projects, "Shop / \u{1F6D2}")
            #expect(await refusal { _ = try await create(projects, shop.name) } == .nameTaken(shop.name))
            let blog = try await create(projects, "Blog")
            #expect(blog.number == 3)
            func rename(_ number: UInt32, _ name: String) async -> AccessRefusal? {
                await refusal { _ = try await projects.replace(number, name: name, settings: ProjectSettings()) }
            }
            #expect(await rename(3, shop.name) == .nameTaken(shop.name))
            #expect(await rename(9, "x") == .unknownProject("9"))
            // To its own name, to another, and the old name is free.
            for name in ["Blog", "News", "News"] { #expect(await rename(3, name) == nil) }
            #expect(await rename(1, "Blog") == nil)
            #expect(try await projects.list().map(\.name) == ["Blog", shop.name, "News"])
            #expect(try await projects.get(3)?.created == blog.created)
            // A name that the environment's project would get is another's.
            #expect(await rename(2, "project 7") == nil)
            try await projects.ensure([7], now: 2)
            #expect(try await projects.get(7)?.name == "project 7 (2)")
        }
    }

    @Test func projectsThatAreMadeAtOnceHaveTheirOwnNumbers() async throws {
        try await withMetadataStore { store in
            let projects = ProjectStore(store)
            let numbers = try await withThrowingTaskGroup(of: UInt32.self) { group in
                for i in 0..<8 {
                    group.addTask { try await projects.create(name: "p\(i)", settings: ProjectSettings(), now: 1) { _ in false }.number }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(numbers.sorted() == Array(2...9))
        }
    }

    @Test func settingsOfALaterReleaseAreKept() async throws {
        try await withMetadataStore { store in
            let projects = ProjectStore(store)
            _ = try await store.compareAndSet(
                "project/2", expected: 0, value: Array(#"{"name":"Shop","created":7,"settings":{"retention_days":90}}"#.utf8))
            _ = try await store.compareAndSet("project/3", expected: 0, value: Array("damaged".utf8))
            let found = try await projects.list()
            #expect(found.map(\.name) == ["Shop", "project 3"] && found[0].settings.json == ["retention_days": 90])
            #expect(try await create(projects, "a").number == 4)
        }
    }
}
