import Dashboard
import Foundation
import TestSupport
import Testing

struct DashboardFilesTests {
    /// A file that is in the folder alone would be missing in the program.
    @Test func everyWebFileIsEmbedded() throws {
        let root = Repository.root.appendingPathComponent("Sources/Dashboard")
        let paths = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
        let files = paths.filter { path in path.split(separator: "/").last?.contains(".") == true && !path.hasSuffix(".swift") }
        #expect(Set(files) == Set(DashboardFiles.all.keys))
        for path in files {
            #expect(DashboardFiles.all[path] == Array(try Data(contentsOf: root.appendingPathComponent(path))), "\(path)")
        }
    }

    /// What the policy of the pages forbids is not in them.
    @Test func noFileNeedsWhatThePolicyForbids() {
        for (path, bytes) in DashboardFiles.all {
            let text = String(decoding: bytes, as: UTF8.self)
            for banned in ["innerHTML", "eval(", "new Function", "document.write", "//cdn", "javascript:"] {
                #expect(!text.contains(banned), "\(path): \(banned)")
            }
        }
    }
}
