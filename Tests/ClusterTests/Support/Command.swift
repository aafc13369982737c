import Foundation

/// Runs the built programs.
enum Command {
    struct Result {
        var status: Int32
        var out: String
        var err: String
    }

    /// - Parameter log: a file that standard error goes to.
    static func spawn(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], log: String? = nil
    ) throws -> Process {
        let process = Process()
        process.executableURL = Cluster.programs.appendingPathComponent(program)
        process.arguments = arguments
        process.environment = clean.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        if let log {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        }
        try process.run()
        return process
    }

    /// Our own environment without settings of the product, which must not leak into a test.
    private static let clean = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SLUICE_") }

    static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: URL? = nil
    ) async throws -> Result {
        let process = Process()
        let isPath = program.hasPrefix("/")
        process.executableURL = isPath ? URL(fileURLWithPath: program) : Cluster.programs.appendingPathComponent(program)
        process.arguments = arguments
        process.environment = clean.merging(environment) { $1 }
        let folder = try Cluster.temporaryDirectory()
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ["out", "err"].map { folder.appendingPathComponent($0) }
        for file in files { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        await wait(process)
        let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return Result(status: process.terminationStatus, out: texts[0], err: texts[1])
    }

    static func wait(_ process: Process) async {
        while process.isRunning { try? await Task.sleep(for: .milliseconds(10)) }
    }

    /// The path of a program of the machine, nil where it is missing.
    static func find(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
