import ArgumentParser
import Foundation
import FunnelModel

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Generate events of a scenario, for tests and demos.",
        discussion: """
            Writes NDJSON with late events and repeated deliveries. The same options give \
            the same bytes. The folder deploy/funnels has a definition for each scenario.

              signup    home page, form, e-mail verified, first project; an experiment
              shop      visits, carts and purchases, some with equal timestamps
              leads     form, qualification, demo, proposal, deal won or lost; months
              campaign  landing pages with utm_source and others, trials, subscriptions

            Examples:
              sluice generate --users 1000 | sluice load -
              sluice generate --users 20000 --seed 7 --out shop.ndjson
              sluice generate --scenario signup | sluice load -
              sluice generate --scenario leads --users 800 | sluice load -
              sluice generate --scenario campaign --out campaign.ndjson
            """)

    @Option(help: ArgumentHelp("What the events are about.", valueName: "name")) var scenario = Scenario.shop
    @Option(help: ArgumentHelp("Number of users, from 1.", valueName: "number")) var users = 5_000
    @Option(help: ArgumentHelp("Seed of the random numbers.", valueName: "number")) var seed: UInt64 = 1
    @Option(help: ArgumentHelp("Maximum number of events; 0 is no limit.", valueName: "number")) var events = 0
    @Option(help: ArgumentHelp("First of the days on which users begin: 30, of leads 60.", valueName: "date")) var from = "2026-01-01"
    @Option(help: ArgumentHelp("File to write; standard output by default.", valueName: "file"), completion: .file()) var out: String?

    func validate() throws {
        if users < 1 { throw ValidationError("--users must be at least 1, not \(users)") }
        if events < 0 { throw ValidationError("--events must be at least 0, not \(events)") }
        _ = try start()
    }

    /// Microseconds since 1970.
    private func start() throws -> Int64 {
        do {
            return try Timestamp.parse(ByteString(from))
        } catch {
            throw ValidationError("--from must be a date such as 2026-01-01: \(error)")
        }
    }

    func run() throws {
        let start = try start()
        if let out, !FileManager.default.createFile(atPath: out, contents: nil) { throw Failure("--out: cannot write \(out)") }
        let file = try out.map { try FileHandle(forWritingTo: URL(fileURLWithPath: $0)) }
        func write(_ bytes: [UInt8]) throws {
            if let file { try file.write(contentsOf: Data(bytes)) } else { Terminal.write(bytes) }
        }
        let bar = ProgressBar("generating")
        var traffic = scenario.traffic(seed: seed, start: start)
        var buffer: [UInt8] = []
        var lines = 0
        outer: for user in 0...users {
            if user < users { traffic.addUser(user) }
            for event in traffic.deliveries.take(isEnd: user == users) {
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
