import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice projects` on real processes.
    struct ProjectCommandTests {
        private static let operatorKey = "the-operators-admin-key"
        private static let adminOfTwo = "the-admin-key-of-two"
        private static let readOfTwo = "the-read-key-of-two"
        private static let environment = [
            "SLUICE_ADMIN_KEYS": "\(operatorKey),2:\(adminOfTwo)", "SLUICE_READ_KEYS": "2:\(readOfTwo)",
        ]

        @Test func commandsManageProjects() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment) { cluster in
                func projects(_ arguments: String..., key: String = Self.operatorKey) async throws -> Command.Result {
                    try await Command.run(
                        "sluice", ["projects"] + arguments + ["--to", cluster.coordinatorHTTP], environment: ["SLUICE_KEY": key])
                }
                func names(key: String = Self.operatorKey) async throws -> [JSONValue?] {
                    let json = try await projects("list", "--format", "json", key: key)
                    return try JSONParser.parse(Array(json.out.utf8))["projects"]?.asArray?.map { $0["name"] } ?? []
                }
                let made = try await projects("create", "--name", "Shop")
                // 1 and 2 are of the environment.
                #expect(made.status == 0 && made.out == "3\n" && made.err.contains("created project 3, \"Shop\""), "\(made)")
                let again = try await projects("create", "--name", "Shop")
                #expect(again.status == 1 && again.out.isEmpty && again.err.contains("Shop"), "\(again)")
                let empty = try await projects("create", "--name", "")
                #expect(empty.status == 1 && empty.err.contains("name: "), "\(empty)")
                #expect(try await projects("create").status == 64)

                let lines = try await projects("list").out.split(separator: "\n")
                #expect(lines.count == 4 && lines[0].hasPrefix("ID  CREATED") && lines[0].hasSuffix("  NAME"), "\(lines)")
                #expect(lines.last?.hasPrefix("3   2") == true && lines.last?.hasSuffix("Z  Shop") == true, "\(lines)")
                let text = try await projects("get", "3").out
                #expect(text.hasSuffix("}\n") && !text.hasSuffix("\n\n"), "\(text)")
                let shown = try JSONParser.parse(Array(text.utf8))
                #expect(shown["id"] == 3 && shown["name"] == "Shop" && shown["settings"] == [:])

                let file = cluster.directory.appendingPathComponent("settings.json")
                try Data("{}".utf8).write(to: file)
                #expect(try await projects("set", "3", "--settings", file.path).status == 0)
                #expect(try await names() == ["project 1", "project 2", "Shop"])
                let renamed = try await projects("set", "3", "--name", "Shop Europe")
                #expect(renamed.status == 0 && renamed.err.contains("saved project 3"), "\(renamed)")
                #expect(try await names() == ["project 1", "project 2", "Shop Europe"])
                try Data(#"{"no_such_setting": 1}"#.utf8).write(to: file)
                let unknown = try await projects("set", "3", "--settings", file.path)
                #expect(unknown.status == 1 && unknown.err.contains("settings.no_such_setting"), "\(unknown)")
                try Data("[]".utf8).write(to: file)
                let list = try await projects("set", "3", "--settings", file.path)
                #expect(list.status == 1 && list.err.contains("must hold one JSON object"), "\(list)")
                let neither = try await projects("set", "3")
                #expect(neither.status == 64 && neither.err.contains("--name, --settings"), "\(neither)")
                #expect(try await projects("set", "three", "--name", "x").status == 64)
                let missing = try await projects("get", "9")
                #expect(missing.status == 1 && missing.err.contains("9") && !missing.err.contains("--to"), "\(missing)")

                // Other admin keys rule their project, read keys see it.
                #expect(try await projects("create", "--name", "More", key: Self.adminOfTwo).status == 1)
                #expect(try await projects("set", "3", "--name", "Mine", key: Self.adminOfTwo).status == 1)
                #expect(try await projects("set", "2", "--name", "Ours", key: Self.adminOfTwo).status == 0)
                #expect(try await projects("set", "2", "--name", "Theirs", key: Self.readOfTwo).status == 1)
                #expect(try await names(key: Self.readOfTwo) == ["Ours"])
            }
        }
    }
}
