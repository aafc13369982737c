import Foundation
import FunnelModel
import Notifications
import Testing

/// File channels.
struct FileTests {
    private static let channel = Channel(id: "log", settings: .file(name: "alerts.ndjson"))

    private static func send(_ directory: String?, _ notice: Notice = Samples.firing) async throws -> DeliveryOutcome {
        let sender = NoticeSender(.init(targets: try TargetPolicy(), directory: directory))
        return await sender.send(notice, to: channel, now: Samples.now)
    }

    @Test func linesAreAppended() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        for notice in [Samples.firing, Samples.resolved] { #expect(try await Self.send(folder.path, notice) == .delivered) }
        let lines = try folder.text("alerts.ndjson").split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 3 && lines[2].isEmpty)
        for (line, notice) in zip(lines, [Samples.firing, Samples.resolved]) {
            #expect(Notice(try JSONParser.parse(Array(line.utf8))) == notice)
        }
        let mode = try FileManager.default.attributesOfItem(atPath: folder.path + "/alerts.ndjson")[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    /// A line of which only a part was written.
    @Test func aCutLineIsEnded() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try "{\"version\":1,\"i".write(toFile: folder.path + "/alerts.ndjson", atomically: false, encoding: .utf8)
        #expect(try await Self.send(folder.path) == .delivered)
        let lines = try folder.text("alerts.ndjson").split(separator: "\n")
        #expect(lines.count == 2 && lines[0] == "{\"version\":1,\"i")
        #expect(Notice(try JSONParser.parse(Array(lines[1].utf8))) == Samples.firing)
    }

    @Test func linksAndPipesAreRefused() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/alerts.ndjson"
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/tmp/sluice-notices-none")
        #expect(try await Self.send(folder.path) != .delivered)
        #expect(!FileManager.default.fileExists(atPath: "/tmp/sluice-notices-none"))
        try FileManager.default.removeItem(atPath: path)
        #expect(mkfifo(path, 0o600) == 0)
        #expect(try await Self.send(folder.path) == .refused("\(path) is no regular file"))
    }

    @Test func directories() async throws {
        #expect(try await Self.send(nil) == .refused("a setting of the coordinator must name the directory of file channels"))
        let outcome = try await Self.send("/none/of/it")
        #expect(outcome == .failed("/none/of/it/alerts.ndjson cannot be opened: No such file or directory"))
    }
}
