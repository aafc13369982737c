import Foundation
import FunnelModel

/// Files of the repository, found from this source file, so that tests run from any directory.
package enum Repository {
    package static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    package static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: root.appendingPathComponent(path)))
    }

    package static func json(_ path: String) throws -> JSONValue { try JSONParser.parse(bytes(path)) }

    /// All Markdown pages, by their paths.
    package static func pages() throws -> [String] {
        try [
            "", ".github/", "Protocol/", "Protocol/decisions/", "Sources/", "Tests/", "bench/", "deploy/", "deploy/examples/",
            "deploy/prometheus/",
        ].flatMap {
            folder in
            try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)
                .filter { $0.hasSuffix(".md") }.map { folder + $0 }
        }
    }

    /// A file of the test material beside the repository, which a clone need not have.
    package static func shared(_ path: String) -> URL? {
        let url = root.deletingLastPathComponent().appendingPathComponent("shared").appendingPathComponent(path)
        return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }

    package static func sharedJSON(_ path: String) throws -> JSONValue? {
        guard let url = shared(path) else { return nil }
        return try JSONParser.parse(Array(try Data(contentsOf: url)))
    }
}
