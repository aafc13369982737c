import FunnelModel
import IngestService
import Testing

/// Which claims ingest sends to shards.
struct ClaimMemoryTests {
    private func claim(_ child: ByteString, _ parent: ByteString, _ time: Int64, _ kind: Claim.Kind = .identify) -> Claim {
        Claim(kind: kind, child: child, parent: parent, time: time)
    }

    private func missing(_ memory: ClaimMemory, _ claims: [Claim], project: UInt32 = 1) -> [Claim] {
        memory.missing(claims.enumerated().map { ($0, $1) }, project: project).map(\.claim)
    }

    @Test func ofEqualClaimsOnlyTheEarliestIsSent() {
        let memory = ClaimMemory()
        let all = [claim("a", "u", 9), claim("a", "u", 4), claim("a", "u", 7), claim("a", "u", 9, .alias), claim("b", "u", 9)]
        #expect(missing(memory, all) == [all[1], all[3], all[4]])
    }

    @Test func whatIsStoredIsNotSentAgainUnlessItIsEarlier() {
        let memory = ClaimMemory()
        memory.note([(0, claim("a", "u", 5))], project: 1)
        #expect(missing(memory, [claim("a", "u", 5)]).isEmpty && missing(memory, [claim("a", "u", 6)]).isEmpty)
        #expect(missing(memory, [claim("a", "u", 4)]) == [claim("a", "u", 4)])
        #expect(missing(memory, [claim("a", "u", 6)], project: 2) == [claim("a", "u", 6)])
        #expect(missing(memory, [claim("a", "v", 6), claim("a", "u", 6, .alias)]).count == 2)
        // A later repeat does not make an earlier one forgotten.
        memory.note([(0, claim("a", "u", 9))], project: 1)
        #expect(missing(memory, [claim("a", "u", 5)]).isEmpty)
    }

    @Test func theMemoryIsBoundedAndForgetsTheOldest() {
        let memory = ClaimMemory(most: 100)
        func own(_ n: Int) -> Claim { claim(ByteString("a\(n)"), "u", 5) }
        for n in 0..<1_000 { memory.note([(0, own(n))], project: 1) }
        #expect(missing(memory, [own(0), own(500)]).count == 2)
        #expect(missing(memory, [own(999), own(950)]).isEmpty)
        #expect(memory.count <= 202)
    }
}
