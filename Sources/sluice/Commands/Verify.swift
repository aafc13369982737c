import ArgumentParser
import FunnelStorage

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a shard's data directory, offline: every checksum and order rule. Changes nothing.",
        discussion: "Example:\n  sluice verify ./sluice-data/shard-0")

    @Argument(help: "A shard's data directory; its shard must not be running.") var directory: String

    func run() throws {
        let good = StoreVerifier.verify(directory: directory, files: POSIXFileSystem()) { Terminal.out($0) }
        Terminal.out(good ? "good" : "DAMAGED")
        if !good { throw ExitCode(1) }
    }
}
