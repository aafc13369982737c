import ArgumentParser
import EventStorage
import Foundation
import FunnelModel

struct Compact: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Merge a stopped shard's files; remove events by name.",
        discussion: """
            Writes the rows of the log into segment files and merges the files of each \
            month into one. A running shard does this while it is idle; use the command \
            before a backup, or before a shard is moved.

            --drop-event-names removes all events of the names in a file for good, so that \
            the names no longer count toward the limit. Run it for every shard. If it is \
            interrupted, run it again. --dry-run only counts the rows.

            Examples:
              sluice compact ./sluice-data/shard-0
              sluice compact ./sluice-data/shard-0 --drop-event-names names.txt \\
                  --project 1 --dry-run
              sluice compact ./sluice-data/shard-0 --drop-event-names names.txt \\
                  --project 1
            """)

    @Argument(help: "Data directory of a shard that is not running.", completion: .directory) var directory: String
    @Option(
        help: ArgumentHelp("Remove the events with these names: a text file, one name a line.", valueName: "file"), completion: .file())
    var dropEventNames: String?
    @Option(
        help: ArgumentHelp("Project whose events are removed, for --drop-event-names; all projects by default.", valueName: "number"))
    var project: UInt32?
    @Flag(help: "Report what --drop-event-names would remove, and change nothing.") var dryRun = false

    func validate() throws {
        guard dropEventNames == nil else { return }
        if project != nil { throw ValidationError("--project needs --drop-event-names FILE") }
        if dryRun { throw ValidationError("--dry-run needs --drop-event-names FILE") }
    }

    func run() throws {
        typealias Store = ShardStore<POSIXFileSystem>
        let files = POSIXFileSystem()
        let names = try dropEventNames.map(Self.names)
        guard let identity = try Store.identity(directory: directory, files: files) else {
            throw Failure("\(directory) is not the data directory of a shard")
        }
        let store = try Store.open(directory: directory, files: files, identity: identity, options: StoreOptions())
        defer { store.close() }
        if let names, dryRun { return Self.say(names, try store.events(ofNames: names, project: project), "would be removed") }
        Self.say("before", store.stats)
        if let names { Self.say(names, try store.drop(eventNames: names, project: project), "removed") }
        try store.seal()
        try store.compact(everything: true)
        Self.say("after", store.stats)
        let damaged = store.damagedFiles
        for file in damaged { Terminal.note("damaged, and left as it is: \(file.reason)") }
        if !damaged.isEmpty { throw ExitCode(1) }
    }

    /// The lines of a file but for empty ones.
    private static func names(in path: String) throws -> Set<ByteString> {
        guard let data = FileManager.default.contents(atPath: path) else { throw Failure("--drop-event-names: cannot read \(path)") }
        let bytes = Array(data)
        let lines = bytes[ByteOrderMark.length(in: bytes)...].split(separator: 10).map { $0.last == 13 ? $0.dropLast() : $0 }
        let names = Set(lines.filter { !$0.isEmpty }.map { ByteString($0) })
        if names.isEmpty { throw Failure("--drop-event-names: \(path) is empty; it must have one event name a line") }
        return names
    }

    private static func say(_ when: String, _ stats: StoreStats) {
        Terminal.out("\(when): \(stats.segments) segments, \(stats.segmentBytes) bytes, \(stats.memtableRows) rows in memory")
    }

    private static func say(_ names: Set<ByteString>, _ found: [ShardStore<POSIXFileSystem>.EventsOfNames], _ what: String) {
        for found in found { Terminal.out("project \(found.project): \(found.rows) rows of \(found.names.count) event names \(what)") }
        let missing = names.subtracting(found.flatMap(\.names)).sorted()
        if !missing.isEmpty {
            let list = missing.prefix(20).map(\.string).joined(separator: ", ") + (missing.count > 20 ? ", …" : "")
            Terminal.out("no events of \(missing.count) names on this shard: \(list)")
        }
        if !found.isEmpty { Terminal.note("other shards may have events of these names too: run this for each of them") }
    }
}
