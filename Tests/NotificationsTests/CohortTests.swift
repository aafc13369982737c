import FunnelModel
import Notifications
import Testing

struct CohortTests {
    private func pages(_ old: [[String]]?, _ new: [[String]], pageUsers: Int) async throws -> [CohortDifference.Page] {
        func chunks(_ lists: [[String]]) -> CohortDifference.Chunks {
            { number in number < lists.count ? lists[number].map { ByteString($0) } : nil }
        }
        var difference = CohortDifference(from: old.map(chunks), to: chunks(new), pageUsers: pageUsers)
        var pages: [CohortDifference.Page] = []
        while let page = try await difference.next() { pages.append(page) }
        return pages
    }

    @Test func pagesHaveTheDifference() async throws {
        let found = try await pages([["a", "b"], ["d"]], [["b", "c"], [], ["e"]], pageUsers: 3)
        #expect(
            found == [
                .init(added: ["c"], removed: ["a", "d"], number: 1), .init(added: ["e"], removed: [], number: 2, isLast: true),
            ])
        #expect(try await pages([["a"], ["b"]], [["a", "b"]], pageUsers: 3).isEmpty)
        #expect(try await pages(nil, [], pageUsers: 3).isEmpty)
        #expect(try await pages(nil, [["a", "b"]], pageUsers: 2) == [.init(added: ["a", "b"], removed: [], number: 1, isLast: true)])
        #expect(try await pages([["a", "b"]], [], pageUsers: 1).map(\.isLast) == [false, true])
    }

    @Test func chunksHoldAnyIDs() {
        let users = (0..<60_000).map { ByteString("\($0)é\u{0}") }
        var list = CohortList.Writer()
        var chunks = users.compactMap { list.add($0) }
        if let rest = list.takeRest() { chunks.append(rest) }
        #expect(chunks.count > 1 && chunks.allSatisfy { $0.count < 512 << 10 } && list.count == users.count)
        #expect(chunks.flatMap { CohortList.users($0) ?? [] } == users)
        #expect(CohortList.users([2, 0, 65]) == nil && CohortList.users([1]) == nil && CohortList.users([]) == [])
    }

    @Test func theStateComesBackFromItsText() throws {
        var state = CohortState(next: 1_000_000)
        #expect(CohortState(state.stored) == state)
        let run = state.beginReading(now: 5_000_000)
        state.finishReading(members: 3, now: 6_000_000)
        state.fail("the answer is 503", now: 7_000_000, jitter: 1)
        #expect(run == 5_000 && CohortState(state.stored) == state && state.next == 12_000_000)
        state.acknowledge()
        state.finishDelivery(every: 900_000_000, now: 8_000_000)
        #expect(CohortState(state.stored) == state && state.next == 905_000_000 && state.held == run)
        #expect(CohortState(["next": 1]) == nil)
    }

    @Test func faultsAreNamed() throws {
        let right: JSONValue = ["id": "c", "funnel_id": "f", "step": "Pay", "days": 2, "channel": "crm", "every": "1h"]
        let cohort = try SyncedCohort.parse(right)
        #expect(try SyncedCohort.parse(cohort.json) == cohort)
        #expect(cohort.query(ofDay: 1)["start"] == "1970-01-01" && cohort.query(ofDay: 1)["end"] == "1970-01-02")
        let wrong: JSONValue = [
            "id": "c", "funnel_id": "f", "every": "1m", "outcome": "lost", "time_zone": "Mars", "days": 0, "limit": 3, "channel": "a b",
        ]
        do {
            _ = try SyncedCohort.parse(wrong)
            Issue.record("it was read")
        } catch {
            #expect(Set(error.faults.map(\.field)) == ["every", "outcome", "time_zone", "days", "limit", "channel", "step"])
        }
    }

    @Test func aPageIsSignedAndHasItsKey() async throws {
        let server = try await LocalServer.start()
        let document: JSONValue = [
            "kind": "webhook", "settings": ["url": .text("http://127.0.0.1:\(server.port)/crm"), "secret": "0123456789abcdef"],
        ]
        let channel = try Channel.parse(document, id: "crm")
        let sender = NoticeSender(.init(targets: try TargetPolicy(allowing: ["127.0.0.1"])))
        let outcome = await sender.post(Array("{}".utf8), key: "cohort/c/1/1", to: channel, now: 1_769_860_800_000_000)
        let request = try #require(server.requests.first)
        await server.stop()
        #expect(outcome == .delivered && request.headers["idempotency-key"] == "cohort/c/1/1")
        let signature = Signature.text(of: request.body, seconds: 1_769_860_800, secret: Secret("0123456789abcdef"))
        #expect(request.headers["x-sluice-signature"] == signature)
    }
}
