import EventStorage
import FunnelModel
import Testing

/// Every state that a crash can leave opens, and holds every acknowledged event once and no group by half.
struct CrashTests {
    /// Groups whose events tell group and place, so that a half one shows.
    private static func group(_ number: Int) -> [AppendRequest] {
        (0..<2).map { part in
            request(
                (0..<3).map { event("user\(($0 + part) % 3)", "e", Int64(number), id: "g\(number)-\(part)-\($0)") },
                sequence: UInt64(number), part: UInt32(part))
        }
    }

    private static let groups = 8

    /// Appends, with seals and a reopening between; marks what has been acknowledged.
    private static func script(_ files: SimulatedFileSystem) throws {
        var store = try openStore(files)
        for number in 0..<groups {
            _ = try store.put(group(number))
            files.mark(number + 1)
            if number == 2 || number == 5 { try store.seal() }
            if number == 3 {
                store.close()
                store = try openStore(files)
            }
        }
        store.close()
    }

    private func check(_ files: SimulatedFileSystem, promised: Int, _ what: String) throws {
        let store = try openStore(files)
        let ids = try store.view(project: 1).allEvents().map(\.id.string)
        #expect(Set(ids).count == ids.count, "\(what): an event twice")
        let present = Set(ids.compactMap { $0.split(separator: "-").first.map(String.init) })
        #expect(present.count >= promised && present.count <= promised + 1, "\(what): \(present) of \(promised)")
        #expect(ids.count == present.count * 6, "\(what): half a group")
        #expect((0..<present.count).allSatisfy { present.contains("g\($0)") }, "\(what): not the first groups")
        // The retry of whatever was not acknowledged, and everything after, must find a sound store.
        for number in 0..<Self.groups { _ = try store.put(Self.group(number)) }
        #expect(try store.view(project: 1).allEvents().count == Self.groups * 6, "\(what): after going on")
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: files) { _ in }, "\(what)")
        let again = try openStore(files)
        #expect(try again.view(project: 1).allEvents().count == Self.groups * 6, "\(what): reopened")
    }

    @Test(arguments: ["lost", "kept", "mixed 1", "mixed 2", "mixed 3", "mixed 4", "mixed 5", "mixed 6"])
    func everyPrefixOfTheTraceOpens(mode: String) throws {
        let files = SimulatedFileSystem()
        try Self.script(files)
        let trace = files.trace
        for steps in 0...trace.count {
            let seed = mode.split(separator: " ").last.flatMap { UInt64($0) } ?? 0
            let crash: CrashMode =
                switch mode {
                case "lost": .allLost
                case "kept": .allKept
                default: .mixed(seed * 1_000 + UInt64(steps))
                }
            let (disk, promised) = SimulatedFileSystem.crashed(trace[..<steps], crash)
            do { try check(disk, promised: promised, "\(mode), \(steps) steps") } catch {
                Issue.record("\(mode), \(steps) steps: \(error)")
            }
        }
    }

    /// A crash while the store opens after a crash.
    @Test func recoveryMayCrashToo() throws {
        let files = SimulatedFileSystem()
        try Self.script(files)
        let trace = files.trace
        for steps in stride(from: 0, through: trace.count, by: 3) {
            let (first, promised) = SimulatedFileSystem.crashed(trace[..<steps], .mixed(UInt64(steps) &+ 77))
            try openStore(first).close()
            let second = first.trace
            for more in Self.durablePrefix(second)...second.count {
                let (disk, _) = SimulatedFileSystem.crashed(second[..<more], .mixed(UInt64(more)))
                do { try check(disk, promised: promised, "\(steps) steps, then \(more)") } catch {
                    Issue.record("\(steps) steps, then \(more): \(error)")
                }
            }
        }
    }

    /// Steps that only tell what was on the disk from the start.
    private static func durablePrefix(_ trace: [SimulatedFileSystem.Step]) -> Int {
        (trace.firstIndex { if case .syncDirectory = $0 { true } else { false } } ?? 0) + 1
    }
}
