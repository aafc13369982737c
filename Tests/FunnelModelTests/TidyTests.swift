import Foundation
import TestSupport
import Testing

/// Rules of the house that a compiler does not know.
struct TidyTests {
    private static let sources: [(path: String, text: String)] = {
        let root = Repository.root.appendingPathComponent("Sources")
        let walker = FileManager.default.enumerator(atPath: root.path)
        return (walker?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".swift") }.map { path in
            (path, (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? "")
        }
    }()

    @Test func noFileIsTooLong() {
        #expect(!Self.sources.isEmpty)
        for (path, text) in Self.sources { #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 600, "\(path)") }
    }

    @Test func nothingTrapsOnPurposeAndNothingIsLeftBehind() {
        for (path, text) in Self.sources {
            for banned in ["try!", "fatalError(", "TODO", "FIXME", "XXX", "nonisolated(unsafe)"] { #expect(!text.contains(banned), "\(path): \(banned)") }
        }
    }

    /// Below the calls nothing needs Foundation; only the two edges, files and time zones, and the command line do.
    @Test func foundationStaysAtTheEdges() {
        let allowed = ["CoordinatorService/", "EventFiles/", "Metadata/", "TimeZones/", "sluice/"]
        for (path, text) in Self.sources where !allowed.contains(where: path.hasPrefix) {
            #expect(!text.contains("import Foundation"), "\(path)")
        }
    }

    @Test func nioStaysAboveTheCore() {
        for folder in ["FunnelModel/", "FunnelMatch/", "Codec/", "FunnelProtocol/", "FunnelStatistics/", "EventStorage/"] {
            for (path, text) in Self.sources where path.hasPrefix(folder) { #expect(!text.contains("import NIO"), "\(path)") }
        }
    }
}
