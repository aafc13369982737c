import RPC
import Testing

struct LogLimitTests {
    @Test func aKindHasItsLinesEachMinute() {
        let limit = LogLimit(lines: 2)
        let start = ContinuousClock.now
        #expect([0, 0, nil, nil, nil] == (0..<5).map { limit.admit("a", now: start + .seconds($0)) })
        #expect(limit.admit("b", now: start + .seconds(5)) == 0)
        #expect(limit.admit("a", now: start + .seconds(59)) == nil)
        #expect(limit.admit("a", now: start + .seconds(60)) == 4)
        #expect(limit.admit("a", now: start + .seconds(61)) == 0)
        #expect(limit.admit("a", now: start + .seconds(62)) == nil)
    }

    @Test func kindsAreBounded() {
        let limit = LogLimit()
        let start = ContinuousClock.now
        for kind in 0..<1_000 { #expect(limit.admit("\(kind)", now: start) == 0) }
        #expect(limit.admit("another", now: start) == nil)
        #expect(limit.admit("another", now: start + .seconds(61)) == 0)
    }
}
