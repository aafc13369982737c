import CoordinatorService
import EventRules
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import RPC
import Testing

/// The coordinator's normalisation rules: saved, replaced, removed, sent to services, and loaded again.
struct SavedRulesTests {
    private func open(_ store: any MetadataStore) async throws -> SavedRules { try await SavedRules(store, logger: FakeShards.quiet) }

    private func list(_ names: ByteString..., replaces: UInt64? = nil) -> RuleList {
        RuleList(names.isEmpty ? [] : [.dropEvents(names, .exact)], replaces: replaces)
    }

    private func put(
        _ rules: SavedRules, _ list: RuleList, if precondition: FunnelPrecondition = .init(), project: UInt32 = 1
    ) async throws -> SavedRules.Saved {
        try await rules.put(list, if: precondition, project: project, by: try KeyRing([]).admit(nil, for: .admin))
    }

    private func asked(_ rules: SavedRules, known: UInt64 = 0, wait: UInt32 = 20_000) async -> RuleListMessage {
        await rules.answer(RuleListRequest(known: known, waitMilliseconds: wait))
    }

    @Test func revisionsRiseAlsoWhenRulesAreRemoved() async throws {
        try await withMetadataStore { store in
            let rules = try await open(store)
            #expect(rules.get(project: 1).revision == 0 && rules.newest == 0)
            let first = try await put(rules, list("a"))
            let other = try await put(rules, list("b"), project: 2)
            let second = try await put(rules, list("a", "c"))
            #expect(first.revision > 0 && other.revision > first.revision && second.revision > other.revision)
            #expect(rules.get(project: 1) == second && rules.get(project: 2) == other && rules.newest == second.revision)
            #expect(second.document == #"{"rules":[{"drop_events":["a","c"]}]}"#)
            let removed = try await put(rules, list())
            #expect(removed.revision > second.revision && rules.get(project: 1).document == #"{"rules":[]}"#)
            #expect(rules.newest == other.revision)
            // The same after a restart.
            let next = try await open(store)
            #expect(next.get(project: 1) == removed && next.get(project: 2) == other)
            #expect(try await put(next, list("d")).revision > removed.revision)
        }
    }

    @Test func rulesAreReplacedOnlyAtTheRevisionThatIsNamed() async throws {
        try await withMetadataStore { store in
            let rules = try await open(store)
            func conflict(_ list: RuleList, _ precondition: FunnelPrecondition = .init()) async -> String? {
                let error = await #expect(throws: ProtocolError.self) { try await put(rules, list, if: precondition) }
                #expect(error?.code == .conflict)
                return error?.message
            }
            #expect(await conflict(list("a"), .init(ifMatch: "*")) == "the project never had rules, and If-Match: * needs one")
            #expect(
                await conflict(list("a", replaces: 3))
                    == "the rules are at revision 0; the document replaces revision 3; get them again with 'sluice rules get'")
            let first = try await put(rules, list("a", replaces: 0), if: .init(ifNoneMatch: "*"))
            #expect(await conflict(list("b", replaces: 0))?.contains("the rules are at revision \(first.revision)") == true)
            #expect(await conflict(list("b"), .init(ifNoneMatch: "*")) != nil)
            let second = try await put(rules, list("b", replaces: first.revision), if: .init(ifMatch: "\"\(first.revision)\""))
            #expect(await conflict(list("c"), .init(ifMatch: "\"\(first.revision)\"")) != nil)
            #expect(rules.get(project: 1) == second)
            // Of several at once, one wins.
            let winners = await withTaskGroup(of: Bool.self) { group in
                for i in 0..<20 {
                    group.addTask { (try? await put(rules, list(ByteString("name \(i)"), replaces: second.revision))) != nil }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(winners == 1)
        }
    }

    @Test func equalRulesKeepTheirRevision() async throws {
        try await withMetadataStore { store in
            let rules = try await open(store)
            #expect(try await put(rules, list()).revision == 0)
            let first = try await put(rules, list("a"))
            let version = await asked(rules).version
            #expect(try await put(rules, list("a")) == first)
            #expect(try await put(rules, list("a", replaces: first.revision)) == first)
            #expect(try await put(rules, list("a"), if: .init(ifMatch: "\"\(first.revision)\"")) == first)
            // Nothing is sent to services.
            #expect(await asked(rules, known: version, wait: 50).projects == nil && rules.newest == first.revision)
            await #expect(throws: ProtocolError.self) { try await put(rules, list("a", replaces: first.revision + 1)) }
            #expect(try await put(rules, list("b"), project: 2).revision > first.revision)
            #expect(try await put(rules, list("a"), project: 2).revision > first.revision)
        }
    }

    @Test func servicesGetEachChange() async throws {
        try await withMetadataStore { store in
            let rules = try await open(store)
            let first = await asked(rules)
            #expect(first.projects == [] && first.version > 1)
            let unchanged = await asked(rules, known: first.version, wait: 50)
            #expect(unchanged == RuleListMessage(version: first.version, projects: nil))
            async let waiting = asked(rules, known: first.version)
            let saved = try await put(rules, list("a"), project: 7)
            let second = await waiting
            #expect(second.version != first.version)
            #expect(second.projects == [ProjectRules(project: 7, revision: saved.revision, document: saved.document)])
            #expect(try RuleListMessage(body: second.body) == second)
            _ = try await put(rules, list("b"), project: 3)
            #expect(await asked(rules, known: second.version).projects?.map(\.project) == [3, 7])
            // A project without rules is not in the list.
            _ = try await put(rules, list(), project: 7)
            let last = await asked(rules, known: second.version)
            #expect(last.projects?.map(\.project) == [3])
            // A version that this process has never drawn is another, and so are those of the process before.
            #expect(await asked(rules, known: 77) == last)
            #expect(try await asked(open(store), known: last.version).projects == last.projects)
            rules.endWaiting()
            #expect(await asked(rules, known: last.version).projects == nil)
        }
    }

    /// A coordinator that was put back to an earlier release keeps and sends what it cannot read.
    @Test func rulesOfALaterReleaseAreSentAsTheyAre() async throws {
        try await withMetadataStore { store in
            let later = #"{"rules":[{"later":true}]}"#
            let revision = try await store.compareAndSet("rules/4", expected: 0, value: Array(later.utf8))
            let rules = try await open(store)
            #expect(await asked(rules).projects == [ProjectRules(project: 4, revision: revision, document: ByteString(later))])
            #expect(try await put(rules, list("a"), project: 4).revision > revision)
        }
    }

    @Test func allProjectsTogetherHaveALimit() async throws {
        try await withMetadataStore { store in
            let rules = try await open(store)
            // Near the limit of one project.
            let names = (0..<1_000).map { ByteString("\($0) " + String(repeating: "x", count: 245)) }
            let large = RuleList([.dropEvents(names, .exact)])
            #expect(large.json.encode().count < RuleLimits.documentBytes)
            var project: UInt32 = 0
            var refusal: AccessRefusal?
            while refusal == nil, project < 100 {
                project += 1
                do {
                    _ = try await put(rules, large, project: project)
                } catch let error as AccessRefusal {
                    refusal = error
                }
            }
            #expect(refusal == .ruleListBytes && project > 20)
            let list = await asked(rules)
            #expect(list.body.count <= FrameKind.ruleList.bodyMax && list.projects?.count == Int(project) - 1)
            // The same size in place of its own is no more.
            _ = try await put(rules, large, project: 1)
            _ = try await put(rules, self.list(), project: 2)
            _ = try await put(rules, large, project: project)
        }
    }
}
