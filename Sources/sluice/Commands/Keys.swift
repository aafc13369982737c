import ArgumentParser
import Foundation
import FunnelModel
import FunnelProtocol
import ServiceRuntime

struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create, list and revoke API keys.",
        discussion: """
            Needs an API key of the role admin, in the variable SLUICE_KEY or in --key-file. \
            It rules the API keys of its project; an operator's key, one of SLUICE_ADMIN_KEYS \
            without PROJECT:, rules those of every project.

            Examples:
              sluice keys create --role write --name "web shop"
              sluice keys list
              sluice keys revoke 7f3k9q2mzt
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an API key and print it, this once.",
            discussion: """
                Standard output gets the API key alone, so that it can go into a file. Several \
                keys of a project are valid at the same time: to change one, create another, move \
                the senders, and revoke the first.

                Examples:
                  sluice keys create --role write --name "web shop" --origin https://shop.example
                  sluice keys create --role read --expires 90d > dashboard.key
                  sluice keys create --role admin --project 2
                """)
        @Option(help: "What the key may do: write (send events), read (query) or admin (both, and rule its project).") var role: Role
        @Option(help: ArgumentHelp("Text for people, which the list shows.", valueName: "text")) var name: String?
        @Option(help: ArgumentHelp("Number of the project. By default that of your own API key.", valueName: "number"))
        var project: UInt32?
        @Option(
            help: ArgumentHelp(
                "When the key ends: a duration such as 90d, or a time such as 2027-01-31. By default it does not end.", valueName: "when"))
        var expires: String?
        @Option(
            name: .customLong("origin"),
            help: ArgumentHelp(
                "Only pages of this origin may use the key; only for the role write. Can be repeated.", valueName: "https://host"))
        var origins: [String] = []
        @OptionGroup var target: HTTPTarget

        enum Role: String, ExpressibleByArgument, CaseIterable { case write, read, admin }

        func validate() throws {
            guard let expires, Microseconds(parsing: ByteString(expires)) == nil else { return }
            let time = try? Timestamp.parse(ByteString(expires))
            guard let time, time > WallClock.now() else {
                throw ValidationError("--expires must be a duration such as 90d, or a time ahead of now; \"\(expires.printable)\" is not")
            }
        }

        func run() async throws {
            var members: [JSONValue.Member] = [.init("role", .text(role.rawValue))]
            if let name { members.append(.init("name", .text(name))) }
            if let project { members.append(.init("project", .integer(Int64(project)))) }
            if let expires {
                let isDuration = Microseconds(parsing: ByteString(expires)) != nil
                members.append(.init(isDuration ? "expires_in" : "expires_at", .text(expires)))
            }
            if !origins.isEmpty { members.append(.init("origins", .array(origins.map { .text($0) }))) }
            let created = try JSONParser.parse(try await target.client.call("POST", "/v1/keys", JSONValue.object(members).encode()))
            guard let key = created["key"]?.asString?.string else { throw Failure("the coordinator's answer has no API key") }
            let number = created["project"]?.asInteger ?? 1
            Terminal.note(
                "API key \(TextTable.text(created["id"])) of the role \(role.rawValue) for project \(number). It is shown only now.")
            Terminal.out(key.printable)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the created API keys of a project, one a line, without their texts.",
            discussion: """
                API keys of the coordinator's environment are not listed.

                Examples:
                  sluice keys list
                  sluice keys list --project all --format json
                """)
        @Option(
            help: ArgumentHelp("Number of the project, or all. By default the project of your own API key.", valueName: "number"))
        var project: String?
        @Option(help: "How the list is printed: table or json.") var format = Format.table
        @OptionGroup var target: HTTPTarget

        enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

        func validate() throws {
            guard let project, project != "all", UInt32(project) == nil else { return }
            throw ValidationError("--project must be the number of a project, or all; \"\(project.printable)\" is not")
        }

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/keys" + (project.map { "?project=\($0)" } ?? ""))
            switch format {
            case .json: Terminal.out(json: answer)
            case .table:
                for line in KeyTable.lines(try JSONParser.parse(answer)["keys"]?.asArray ?? []) { Terminal.out(line) }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke API keys. Every service refuses them within 2 seconds.",
            discussion: """
                The ids are those of 'sluice keys list'. A revoked key cannot be made valid again.

                Example:
                  sluice keys revoke 7f3k9q2mzt
                """)
        @Argument(help: ArgumentHelp("Ids of API keys.", valueName: "id")) var ids: [String]
        @OptionGroup var target: HTTPTarget

        func validate() throws {
            // An API key that is given in place of an id would be in the shell's history and in the logs of proxies.
            for id in ids where !CreatedKey.isID(ByteString(id)) {
                throw ValidationError("an id has 1 to \(Limits.keyIDBytes) of the characters a-z and 0-9; 'sluice keys list' shows it")
            }
        }

        func run() async throws {
            for id in ids {
                _ = try await target.client.call("DELETE", "/v1/keys/\(id)")
                Terminal.note("revoked \(id)")
            }
        }
    }
}

/// API keys as a table.
private enum KeyTable {
    private static let head = ["ID", "ROLE", "PROJECT", "STATE", "CREATED", "LAST USED", "EXPIRES", "NAME", "ORIGINS"]

    /// A header and a line for each key; one line of words if there are none.
    static func lines(_ keys: [JSONValue]) -> [String] {
        keys.isEmpty ? ["no API keys were created"] : TextTable.lines([head] + keys.map(cells))
    }

    private static func cells(_ key: JSONValue) -> [String] {
        let origins = (key["origins"]?.asArray ?? []).map { TextTable.text($0) }.joined(separator: " ")
        return [
            TextTable.text(key["id"]), TextTable.text(key["role"]), key["project"]?.asInteger.map { "\($0)" } ?? "-",
            TextTable.text(key["state"]), TextTable.minute(key["created_at"]), TextTable.minute(key["last_used_at"]),
            TextTable.minute(key["expires_at"]), TextTable.text(key["name"]), origins.isEmpty ? "-" : origins,
        ]
    }
}
