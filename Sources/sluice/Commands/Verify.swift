import ArgumentParser
import EventStorage

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a shard's data directory, offline: every checksum and order rule. Changes nothing.",
        discussion: """
            The last line is a verdict, and the exit status tells the same: 0 good, 1 DAMAGED, 2 IN USE by a running process, \
            3 NOT A SHARD'S DIRECTORY.

            Example:
              sluice verify ./sluice-data/shard-0
            """)

    @Argument(help: "A shard's data directory; its shard must not be running.") var directory: String

    func run() throws {
        switch StoreVerifier.verdict(directory: directory, files: POSIXFileSystem(), report: { Terminal.out($0) }) {
        case .good: Terminal.out("good")
        case .damaged: try end("DAMAGED", 1)
        case .inUse: try end("IN USE: stop its shard, then verify", 2)
        case .notAShard: try end("NOT A SHARD'S DIRECTORY", 3)
        }
    }

    private func end(_ words: String, _ status: Int32) throws {
        Terminal.out(words)
        throw ExitCode(status)
    }
}
