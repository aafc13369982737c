import ArgumentParser
import Foundation
import FunnelModel

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write reproducible shop traffic: with ties, late events and repeated deliveries.",
        discussion: "Example:\n  sluice generate --users 20000 --seed 7 --out shop.ndjson && sluice load shop.ndjson")

    @Option(help: "Number of users.") var users = 5_000
    @Option(help: "The same seed gives the same bytes.") var seed: UInt64 = 1
    @Option(help: "Stop after so many lines; 0 is all of the users' events.") var events = 0
    @Option(help: "First day of the 30 days of traffic.") var from = "2026-01-01"
    @Option(help: "File to write; standard output by default.") var out: String?

    func run() throws {
        let start: Int64
        do {
            start = try Timestamp.parse(ByteString(from))
        } catch {
            throw ValidationError("--from: \(error)")
        }
        guard users > 0 else { throw ValidationError("--users must be at least 1") }
        if let out, !FileManager.default.createFile(atPath: out, contents: nil) { throw ValidationError("cannot write \(out)") }
        let file = try out.map { try FileHandle(forWritingTo: URL(fileURLWithPath: $0)) }
        func write(_ bytes: [UInt8]) throws {
            if let file { try file.write(contentsOf: Data(bytes)) } else { Terminal.write(bytes) }
        }
        let bar = ProgressBar("generating")
        var traffic = ShopTraffic(seed: seed, start: start)
        var buffer: [UInt8] = []
        var lines = 0
        outer: for user in 0...users {
            for event in user < users ? traffic.user(user) : traffic.stragglers() {
                if events > 0, lines == events { break outer }
                event.write(to: &buffer)
                buffer.append(10)
                lines += 1
            }
            if buffer.count > 1 << 20 {
                try write(buffer)
                buffer.removeAll(keepingCapacity: true)
                if out != nil { bar.show(rows: lines, fraction: Double(user) / Double(users)) }
            }
        }
        try write(buffer)
        if out != nil {
            bar.show(rows: lines, fraction: 1, force: true)
            bar.end()
        }
    }
}
