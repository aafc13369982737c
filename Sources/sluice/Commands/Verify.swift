import ArgumentParser
import EventStorage

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the files of a stopped shard; changes nothing.",
        discussion: """
            Reads every file of the directory and checks checksums and the order of rows. \
            The last line is the verdict, and the exit status says the same:
              0  good
              1  DAMAGED: the lines before name the files
              2  IN USE: stop the shard first
              3  NOT A SHARD'S DIRECTORY

            Examples:
              sluice verify ./sluice-data/shard-0
              for shard in ./sluice-data/shard-*; do sluice verify "$shard"; done
            """)

    @Argument(help: "Data directory of a shard that is not running.", completion: .directory) var directory: String

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
