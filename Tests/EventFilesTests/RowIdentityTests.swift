import Codec
import EventFiles
import EventShapes
import FunnelModel
import TestSupport
import Testing

struct RowIdentityTests {
    private let head = "user_id,event,timestamp,price\n"
    private let rows = (0..<40).map { "g\($0 % 20),Purchase,2026-01-0\(1 + $0 % 20 / 4)T10:00:00Z,\($0 % 2 == 0 ? "5" : "7.5")\n" }

    @Test func grownRepairedSortedAndPackedFilesHaveTheSameIDs() throws {
        let first = try ReadFile(head + rows.joined())
        #expect(first.events.count == 40 && Set(first.events.map { "\($0.user) \($0.id)" }).count == 40)
        let grown = try ReadFile(head + rows.joined() + "new,Purchase,2026-01-01,5\n")
        #expect(grown.ids.isSuperset(of: first.ids) && grown.events.count == 41)
        func pairs(_ file: ReadFile) -> Set<String> { Set(file.events.map { "\($0.user) \($0.name) \($0.time) \($0.id)" }) }
        #expect(pairs(try ReadFile(head + rows.shuffled().joined())) == pairs(first))
        #expect(pairs(try ReadFile(Gzip.encode(Array((head + rows.joined()).utf8)) ?? [])) == pairs(first))
        #expect(pairs(try ReadFile((head + rows.joined()).replacing("\n", with: "\r\n").replacing(",", with: ";"))) == pairs(first))
        // The same events as lines of JSON, members in another order, numbers of another kind.
        let lines = first.events.map { event in
            #"{"price":\#(event.properties[0].value == .integer(5) ? "5.0" : "7.50"),"timestamp":\#(event.time),"event":"Purchase","user_id":"\#(event.user.string)"}"#
        }
        #expect(pairs(try ReadFile(lines.joined(separator: "\n"))) == pairs(first))
    }

    @Test func equalRowsStayApart() throws {
        let three = try ReadFile(head + String(repeating: "u,Buy,2026-01-01,5\n", count: 3))
        let two = try ReadFile(head + String(repeating: "u,Buy,2026-01-01,5\n", count: 2))
        #expect(three.ids.count == 3 && three.ids.isSuperset(of: two.ids))
    }

    @Test func anonymousIDIsNoPartOfTheRowID() throws {
        let options = ReadFile.options { $0.shape.anonymous = ["device"] }
        let head = "user_id,event,timestamp,device\n"
        let file = try ReadFile(
            head + ",Buy,2026-01-01,d1\n,Buy,2026-01-01,d2\n,Buy,2026-01-01,d1\nu,Buy,2026-01-01,d1\nu,Buy,2026-01-01,d2\n", options)
        #expect(file.events.map(\.user) == ["d1", "d2", "d1", "u", "u"])
        #expect(file.events[0].id == file.events[1].id && file.events[2].id != file.events[0].id && file.events[3].id != file.events[4].id)
        let without = try ReadFile("user_id,event,timestamp\nu,Buy,2026-01-01\nu,Buy,2026-01-01\n")
        #expect(without.events.map(\.id) == file.events[3...].map(\.id))
    }

    @Test func ownIDsAndNumberedOnesStay() throws {
        let file = try ReadFile(
            "user_id,event,timestamp,event_id\nu,A,2026-01-01,x\nbad,A,never,\nu,B,2026-01-01,\n", ids: .numbered(prefix: "K"))
        #expect(file.events.map(\.id) == ["x", "K/2"])
    }

    @Test func countsAreExactInMemoryAndInAFile() throws {
        for memory in [1 << 30, 1 << 17] {
            let counts = try RepeatCounts(memoryBytes: memory)
            var model: [UInt64: UInt32] = [:]
            var random = SplitMix64(seed: 5)
            for _ in 0..<200_000 {
                // Some fingerprints share their highest bits, and come again.
                let key = UInt64.random(in: 0..<60_000, using: &random)
                let high = key % 3 == 0 ? key : key &* 0x9E37_79B9_7F4A_7C15
                let expected = model[high, default: 0]
                #expect(try counts.add(high, UInt32(truncatingIfNeeded: key)) == expected)
                model[high] = expected + 1
            }
        }
    }
}
