import EventStorage
import FunnelModel
import Testing

/// Claims are rows that no query sees. Of equal ones the earliest stays.
struct ClaimRowTests {
    private static let long = ByteString(String(repeating: "p", count: 500))

    private static let claims = [
        Claim(kind: .identify, child: "a", parent: "u", time: 9), Claim(kind: .identify, child: "a", parent: "u", time: 4),
        Claim(kind: .identify, child: "a", parent: "u", time: 7), Claim(kind: .alias, child: "a", parent: "u", time: 8),
        Claim(kind: .identify, child: "a", parent: "w", time: 11), Claim(kind: .identify, child: "b", parent: long, time: 5),
        Claim(kind: .identify, child: "b", parent: ByteString(long.bytes.dropLast() + [0x71]), time: 6),
    ]
    private static let kept = Set(claims).subtracting([claims[0], claims[2]])

    private func found(_ view: StoreView) throws -> [Claim] {
        var found: [Claim] = []
        for kind in Claim.Kind.allCases {
            try view.scan(events: [EventName.claim(kind)]) { rows in
                for i in 0..<rows.count {
                    if let claim = Claim(row: try rows.row(i)) { found.append(claim) }
                }
                return true
            }
        }
        return found
    }

    @Test(arguments: [false, true])
    func claimsStayThroughSealsMergesAndAReopening(isSealedOften: Bool) throws {
        let files = SimulatedFileSystem()
        var store = try openStore(files)
        for (i, claim) in Self.claims.enumerated() {
            _ = try store.put([request([claim.row], sequence: UInt64(i))])
            if isSealedOften { try store.seal() }
        }
        _ = try store.put([request([event("a", "seen", 20, id: "x")], sequence: 100)])
        for step in ["before", "merged", "opened again"] {
            if step == "merged" {
                try store.seal()
                try store.compact(everything: true)
            }
            if step == "opened again" {
                store.close()
                store = try openStore(files)
            }
            let view = try store.view(project: 1)
            let claims = try found(view)
            #expect(claims.count == Self.kept.count && Set(claims) == Self.kept, "\(step)")
            #expect(view.eventNames() == ["seen"] && view.eventRows(prefix: "").keys.sorted() == ["seen"], "\(step)")
            #expect(view.propertyNames().isEmpty, "\(step)")
            #expect(try view.propertyRows(event: nil) { false }.isEmpty, "\(step)")
            #expect(try view.allEvents().map(\.name) == ["seen"], "\(step)")
        }
        store.close()
    }

    /// A project that has as many names as it may is told of new events, and loses no claim.
    @Test func claimsNeedNoRoomAmongEventNames() throws {
        var options = StoreOptions()
        options.eventNamesMax = 1
        options.propertyKeysMax = 1
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        _ = try store.put([request([event("a", "seen", 20, p: 1)], sequence: 0)])
        let results = try store.put([request(Self.claims.map(\.row), sequence: 1)])
        #expect(try results.allSatisfy { try $0.get().rejected.isEmpty })
        #expect(Set(try found(store.view(project: 1))) == Self.kept)
        store.close()
    }

    @Test func rowsOfEventsAreNoClaims() {
        #expect(Claim(row: event("a", "identify", 1, id: "u")) == nil && Claim(row: event("a", "$identify", 1, id: "u")) == nil)
    }
}
