import FunnelModel
import FunnelProtocol

/// Projects in the metadata: an entry for each project, one for each name, and the number that was assigned last. A number is never
/// assigned twice, since events are stored under it.
package struct ProjectStore: Sendable {
    private let store: any MetadataStore
    private static let prefix = "project/"
    private static let lastKey = "project-last"

    package init(_ store: any MetadataStore) { self.store = store }

    /// All projects, by number.
    package func list() async throws -> [Project] {
        try await store.list(prefix: Self.prefix).compactMap { key, entry in
            UInt32(key.dropFirst(Self.prefix.count)).map { Project(number: $0, value: entry.value) }
        }.sorted { $0.number < $1.number }
    }

    /// Nil if there is no such project.
    package func get(_ number: UInt32) async throws -> Project? {
        try await store.get(Self.key(number)).map { Project(number: number, value: $0.value) }
    }

    /// Adds the projects that have API keys in the environment, unless they exist: their numbers are taken from then on, also once the
    /// keys are gone.
    package func ensure(_ numbers: Set<UInt32>, now: Int64) async throws {
        for number in numbers.sorted() {
            var attempt = 1
            while try await store.get(Self.key(number)) == nil {
                let usual = Project.usualName(number)
                let project = Project(number: number, name: attempt == 1 ? usual : "\(usual) (\(attempt))", created: now)
                do {
                    _ = try await store.compareAndSet([
                        MetadataWrite(key: Self.key(number), expected: 0, value: project.value),
                        MetadataWrite(key: Self.nameKey(project.name), expected: 0, value: Array("\(number)".utf8)),
                    ])
                } catch is RevisionConflict {
                    // Another project has the name.
                    attempt += 1
                }
            }
        }
    }

    /// Adds a project under the next free number.
    /// - Parameter isUsed: whether anything is stored under a number, although no project has it.
    /// - Throws: `AccessRefusal`.
    package func create(
        name: String, settings: ProjectSettings, now: Int64, isUsed: (UInt32) async throws -> Bool
    ) async throws -> Project {
        while true {
            if try await owner(of: name) != nil { throw AccessRefusal.nameTaken(name) }
            let taken = Set(try await list().map(\.number))
            guard taken.count < Limits.projects else { throw AccessRefusal.projects }
            let last = try await store.get(Self.lastKey)
            var number = last.flatMap { UInt32(String(decoding: $0.value, as: UTF8.self)) } ?? 1
            repeat {
                guard number < .max else { throw AccessRefusal.projects }
                number += 1
            } while try await isTaken(number, taken, isUsed)
            let project = Project(number: number, name: name, created: now, settings: settings)
            do {
                let text = Array("\(number)".utf8)
                _ = try await store.compareAndSet([
                    MetadataWrite(key: Self.lastKey, expected: last?.revision ?? 0, value: text),
                    MetadataWrite(key: Self.key(number), expected: 0, value: project.value),
                    MetadataWrite(key: Self.nameKey(name), expected: 0, value: text),
                ])
                return project
            } catch is RevisionConflict {
                // Another project was created meanwhile: all is decided again.
                continue
            }
        }
    }

    private func isTaken(_ number: UInt32, _ taken: Set<UInt32>, _ isUsed: (UInt32) async throws -> Bool) async throws -> Bool {
        if taken.contains(number) { return true }
        if try await !store.list(prefix: "funnel/\(number)/").isEmpty { return true }
        return try await isUsed(number)
    }

    /// Replaces name and settings.
    /// - Throws: `AccessRefusal`.
    package func replace(_ number: UInt32, name: String, settings: ProjectSettings) async throws -> Project {
        while true {
            guard let entry = try await store.get(Self.key(number)) else { throw AccessRefusal.unknownProject("\(number)") }
            var project = Project(number: number, value: entry.value)
            let before = project.name
            project.name = name
            project.settings = settings
            var writes = [MetadataWrite(key: Self.key(number), expected: entry.revision, value: project.value)]
            if name != before {
                let owner = try await owner(of: name)
                if let owner, owner.project != number { throw AccessRefusal.nameTaken(name) }
                writes.append(MetadataWrite(key: Self.nameKey(name), expected: owner?.revision ?? 0, value: Array("\(number)".utf8)))
                if let earlier = try await self.owner(of: before), earlier.project == number {
                    writes.append(MetadataWrite(key: Self.nameKey(before), expected: earlier.revision, value: nil))
                }
            }
            do {
                _ = try await store.compareAndSet(writes)
                return project
            } catch is RevisionConflict {
                // It was changed meanwhile, or another project took the name.
                continue
            }
        }
    }

    /// The project that has a name, and the revision of that entry; nil if the name is free.
    private func owner(of name: String) async throws -> (project: UInt32, revision: UInt64)? {
        guard let entry = try await store.get(Self.nameKey(name)) else { return nil }
        return (UInt32(String(decoding: entry.value, as: UTF8.self)) ?? 0, entry.revision)
    }

    private static func key(_ number: UInt32) -> String { prefix + "\(number)" }

    /// Names may have any character, keys of a store may not.
    private static func nameKey(_ name: String) -> String {
        "project-name/" + Hex.text(name.utf8)
    }
}
