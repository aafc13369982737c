import ArgumentParser
import FunnelModel

struct Projects: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, create and change projects.",
        discussion: """
            A project is a separate set of events, saved funnels and API keys. Needs an API key, \
            in the variable SLUICE_KEY or in --key-file: of the role read to list and get, admin \
            to set. Only an operator's key, one of SLUICE_ADMIN_KEYS without PROJECT:, creates \
            projects and sees those of others.

            Examples:
              sluice projects create --name "Shop"
              sluice projects list
              sluice projects set 3 --name "Shop Europe"
            """,
        subcommands: [List.self, Get.self, Create.self, Set.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the projects that the API key may see, one a line, by number.",
            discussion: """
                Examples:
                  sluice projects list
                  sluice projects list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = Format.table
        @OptionGroup var target: HTTPTarget

        enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/projects")
            switch format {
            case .json: Terminal.out(json: answer)
            case .table:
                let projects = try JSONParser.parse(answer)["projects"]?.asArray ?? []
                let rows = projects.map { project in
                    [Projects.number(project), TextTable.minute(project["created_at"]), TextTable.text(project["name"])]
                }
                for line in TextTable.lines([["ID", "CREATED", "NAME"]] + rows) { Terminal.out(line) }
            }
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a project as JSON: number, name, time of creation and settings.",
            discussion: """
                Example:
                  sluice projects get 3
                """)
        @Argument(help: ArgumentHelp("Number of the project.", valueName: "number")) var project: UInt32
        @OptionGroup var target: HTTPTarget

        func run() async throws { Terminal.out(json: try await target.client.call("GET", "/v1/projects/\(project)")) }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a project and print its number.",
            discussion: """
                Standard output gets the number alone. Needs an operator's API key, and all shards \
                running: they are asked whether they have events under the number.

                Examples:
                  sluice projects create --name "Shop"
                  sluice keys create --role write --project $(sluice projects create --name "Shop")
                """)
        @Option(help: ArgumentHelp("Name, which no other project has: 1 to 100 bytes.", valueName: "text")) var name: String
        @Option(help: ArgumentHelp("File with the settings, a JSON object.", valueName: "file"), completion: .file(extensions: ["json"]))
        var settings: String?
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            var members: [JSONValue.Member] = [.init("name", .text(name))]
            if let settings { members.append(try Projects.settings(settings)) }
            let made = try JSONParser.parse(try await target.client.call("POST", "/v1/projects", JSONValue.object(members).encode()))
            Terminal.note("created project \(Projects.number(made)), \"\(TextTable.text(made["name"]))\"")
            Terminal.out(Projects.number(made))
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the name or the settings of a project.",
            discussion: """
                What is not given stays as it is. The settings of the file replace all of the \
                project's settings.

                Examples:
                  sluice projects set 3 --name "Shop Europe"
                  sluice projects set 3 --settings settings.json
                """)
        @Argument(help: ArgumentHelp("Number of the project.", valueName: "number")) var project: UInt32
        @Option(help: ArgumentHelp("Name, which no other project has: 1 to 100 bytes.", valueName: "text")) var name: String?
        @Option(help: ArgumentHelp("File with the settings, a JSON object.", valueName: "file"), completion: .file(extensions: ["json"]))
        var settings: String?
        @OptionGroup var target: HTTPTarget

        func validate() throws {
            if name == nil, settings == nil { throw ValidationError("give --name, --settings or both") }
        }

        func run() async throws {
            let new = try settings.map(Projects.settings)
            // The coordinator replaces name and settings together.
            let path = "/v1/projects/\(project)"
            let now = try JSONParser.parse(try await target.client.call("GET", path))
            let members: [JSONValue.Member] = [
                .init("name", name.map { .text($0) } ?? now["name"] ?? .null), new ?? .init("settings", now["settings"] ?? [:]),
            ]
            _ = try await target.client.call("PUT", path, JSONValue.object(members).encode())
            Terminal.note("saved project \(project)")
        }
    }

    private static func number(_ project: JSONValue) -> String { project["id"]?.asInteger.map { "\($0)" } ?? "-" }

    private static func settings(_ file: String) throws -> JSONValue.Member {
        .init("settings", .object(try QueryDocument.members(ofFile: file, option: "--settings")))
    }
}
