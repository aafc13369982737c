import EventFiles
import EventShapes
import Foundation
import FunnelModel

/// Files of a test's own text, and what becomes of their records.
struct TestFile {
    let url: URL

    init(_ text: String, name: String = "events.csv") throws { try self.init(Array(text.utf8), name: name) }

    init(_ bytes: [UInt8], name: String = "events.csv") throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-files-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        url = folder.appendingPathComponent(name)
        try Data(bytes).write(to: url)
    }

    func remove() { try? FileManager.default.removeItem(at: url.deletingLastPathComponent()) }
}

/// A file, read whole.
struct ReadFile {
    var events: [Event] = []
    /// Of each event.
    var lines: [FileLines] = []
    var rejected: [(lines: FileLines, reason: String)] = []
    var skipped: [FileLines] = []
    var mixed: [MixedColumn] = []
    var claims: [Claim] = []

    static let now: Int64 = 1_800_000_000_000_000

    init(_ bytes: [UInt8], _ options: FileOptions = ReadFile.options(), ids: RowIdentity.Rule = .content) throws {
        let file = try TestFile(bytes)
        defer { file.remove() }
        let source = try EventFile(path: file.url.path, options: options, now: Self.now)
        var identity = try RowIdentity(ids)
        while var read = try source.next(rows: 7, bytes: 1 << 20) {
            try identity.complete(&read)
            events += read.batch.events
            lines += read.lines
            claims += (0..<read.claims.count).map { read.claims[$0] }
            for outcome in read.outcomes {
                switch outcome.kind {
                case .rows: break
                case .rejected(let fault): rejected.append((outcome.lines, fault.reason))
                case .skipped: skipped.append(outcome.lines)
                }
            }
        }
        mixed = source.mixed
    }

    init(_ text: String, _ options: FileOptions = ReadFile.options(), ids: RowIdentity.Rule = .content) throws {
        try self.init(Array(text.utf8), options, ids: ids)
    }

    /// The defaults of `sluice load`, changed.
    static func options(_ change: (inout FileOptions) -> Void = { _ in }) -> FileOptions {
        var options = FileOptions()
        options.required = [
            .init(option: "--user-id", paths: options.shape.user), .init(option: "--event", paths: options.shape.event),
            .init(option: "--timestamp", paths: options.shape.time),
        ]
        change(&options)
        return options
    }

    func values(of key: ByteString) -> [PropertyValue?] { events.map { event in event.properties.first { $0.key == key }?.value } }

    var ids: Set<ByteString> { Set(events.map(\.id)) }
}
