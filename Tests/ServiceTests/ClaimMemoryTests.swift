import FunnelModel
import IngestService
import Testing

/// Which claims ingest sends to shards.
struct ClaimMemoryTests {
    private func claim(_ child: ByteString, _ parent: ByteString, _ time: Int64, _ kind: Claim.Kind = .identify) -> Claim {
        Claim(kind: kind, child: child, parent: parent, time: time)
    }

    private func missing(_ memory: ClaimMemory, _ claims: [Claim], project: UInt32 = 1) -> [Claim] {
        let missing = memory.missing(list(claims), project: project)
        return (0..<missing.count).map { missing[$0] }
    }

    private func list(_ claims: [Claim]) -> ClaimList {
        var list = ClaimList()
        for (index, claim) in claims.enumerated() { list.append(claim, index: index) }
        return list
    }

    @Test func ofEqualClaimsOnlyTheEarliestIsSent() {
        let memory = ClaimMemory()
        let all = [claim("a", "u", 9), claim("a", "u", 4), claim("a", "u", 7), claim("a", "u", 9, .alias), claim("b", "u", 9)]
        #expect(missing(memory, all) == [all[1], all[3], all[4]])
    }

    @Test func whatIsStoredIsNotSentAgainUnlessItIsEarlier() {
        let memory = ClaimMemory()
        memory.note(list([claim("a", "u", 5)]), project: 1)
        #expect(missing(memory, [claim("a", "u", 5)]).isEmpty && missing(memory, [claim("a", "u", 6)]).isEmpty)
        #expect(missing(memory, [claim("a", "u", 4)]) == [claim("a", "u", 4)])
        #expect(missing(memory, [claim("a", "u", 6)], project: 2) == [claim("a", "u", 6)])
        #expect(missing(memory, [claim("a", "v", 6), claim("a", "u", 6, .alias)]).count == 2)
        // A later repeat does not make an earlier one forgotten.
        memory.note(list([claim("a", "u", 9)]), project: 1)
        #expect(missing(memory, [claim("a", "u", 5)]).isEmpty)
    }

    @Test func theMemoryGrowsAndIsBounded() {
        let memory = ClaimMemory(placesMax: 1 << 14)
        func own(_ n: Int) -> Claim { claim(ByteString("a\(n)"), "u", 5) }
        #expect(memory.count == 0)
        memory.note(list((0..<6_000).map(own)), project: 1)
        // Of a table that is less than half full hardly any claim is forgotten.
        #expect(missing(memory, (0..<6_000).map(own)).count < 100)
        for n in 6_000..<40_000 { memory.note(list([own(n)]), project: 1) }
        #expect(memory.count <= 1 << 14)
        #expect(missing(memory, [own(39_999), own(39_990)]).isEmpty)
        // A repeat stays one entry.
        let before = memory.count
        memory.note(list([own(39_999), own(39_999)]), project: 1)
        #expect(memory.count == before)
    }
}
