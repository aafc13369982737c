import Foundation
import Notifications
import Synchronization

/// A temporary directory of one test.
struct TemporaryFolder {
    let url: URL
    var path: String { url.path }

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-notices-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    func text(_ name: String) throws -> String { try String(contentsOf: url.appendingPathComponent(name), encoding: .utf8) }

    /// Writes an executable shell script.
    func script(_ lines: String) throws -> String {
        let file = url.appendingPathComponent("sendmail")
        try "#!/bin/sh\n\(lines)\n".write(to: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file.path)
        return file.path
    }
}

/// A program of the machine that tests use.
struct Tool {
    static let python = find("python3")
    static let openssl = find("openssl")

    private static func find(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    struct Failed: Error { var status: Int32 }

    /// Runs a program to its end.
    /// - Returns: what it printed.
    static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed(status: process.terminationStatus) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A clock that a test sets.
final class ManualClock: Sendable {
    private let time = Mutex<Int64>(Samples.now)

    var now: Int64 { time.withLock { $0 } }

    func advance(to other: Int64) { time.withLock { $0 = max($0, other) } }
}

/// Where a test keeps an outbox; a file, as if the process had ended in between.
struct OutboxFile {
    let url: URL

    func store(_ bytes: [UInt8]) throws { try Data(bytes).write(to: url, options: .atomic) }

    func outbox() throws -> Outbox { try Outbox(parsing: Array(try Data(contentsOf: url))) }
}

enum Samples {
    /// 2026-01-31T12:00:00Z.
    static let now: Int64 = 1_769_860_800_000_000

    static let firing = Notice(
        key: "checkout/DE/2026-01-31T11:55:00Z", rule: "checkout", project: 3, title: "Conversion of Checkout fell",
        text: "Checkout to Purchase\n<b>DE</b> & \"AT\"", numbers: [.init("conversion", 0.1234), .init("users", 1200)],
        link: "https://sluice.example/#/funnels/shop?step=3&x=1", starts: now - 300_000_000)

    static let resolved = Notice(
        key: firing.key, rule: firing.rule, project: firing.project, title: firing.title, status: .resolved, starts: firing.starts,
        ends: now)

    static func notice(_ key: String, title: String = "t", text: String = "", status: Notice.Status = .firing) -> Notice {
        Notice(key: key, rule: "r", project: 1, title: title, text: text, status: status, starts: now)
    }

    static func webhook(_ url: String, secret: Secret? = nil, id: String = "hook") throws -> Channel {
        Channel(id: id, settings: .webhook(try WebTarget(url), secret: secret))
    }

    /// A sender that may call this machine.
    static func localSender(answerSeconds: Int = 20) throws -> NoticeSender {
        var settings = NoticeSender.Settings(targets: try TargetPolicy(allowing: ["127.0.0.0/8"]))
        settings.answerSeconds = answerSeconds
        return NoticeSender(settings)
    }
}
