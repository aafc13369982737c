import ArgumentParser
import FunnelStorage

struct Compact: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Seal a shard's rows in memory and merge each month into one segment, offline.",
        discussion: """
            A running shard does the same by itself while it is idle; this is for a backup, or before a shard is moved.

            Example:
              sluice compact ./sluice-data/shard-0
            """)

    @Argument(help: "A shard's data directory; its shard must not be running.") var directory: String

    func run() throws {
        typealias Store = ShardStore<POSIXFileSystem>
        let files = POSIXFileSystem()
        guard let identity = try Store.identity(directory: directory, files: files) else {
            throw ValidationError("\(directory) is not the data directory of a shard")
        }
        let store = try Store.open(directory: directory, files: files, identity: identity, options: StoreOptions())
        Self.say("before", store.stats)
        try store.seal()
        try store.compact(everything: true)
        Self.say("after", store.stats)
        store.close()
    }

    private static func say(_ when: String, _ stats: StoreStats) {
        Terminal.out("\(when): \(stats.segments) segments, \(stats.segmentBytes) bytes, \(stats.memtableRows) rows in memory")
    }
}
