import ArgumentParser
import Foundation
import FunnelModel
import ServiceRuntime

struct Funnels: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save and delete the saved funnels.",
        discussion: """
            A saved funnel is a definition that the coordinator keeps under an id. Reports \
            name it by its id: sluice query shop.

            Examples:
              sluice funnels list
              sluice funnels apply shop.json
              sluice funnels get shop > shop.json
            """,
        subcommands: [List.self, Get.self, Apply.self, Delete.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the saved funnels: id and steps, one funnel a line.",
            discussion: """
                Examples:
                  sluice funnels list
                  sluice funnels list --to https://sluice.example.com
                """)
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let list = try JSONParser.parse(try await target.client.call("GET", "/v1/funnels"))["funnels"]?.asArray ?? []
            for funnel in list {
                let names = (funnel["steps"]?.asArray ?? []).map { $0.asString?.string ?? $0["name"]?.asString?.string ?? "" }
                let mark = funnel["default"] == true ? " (default)" : ""
                Terminal.out("\(funnel["funnel_id"]?.asString?.string ?? "")\(mark): \(names.joined(separator: " > ").printable)")
            }
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a saved funnel as JSON, with all defaults.",
            discussion: """
                Examples:
                  sluice funnels get shop
                  sluice funnels get shop > shop.json
                """)
        @Argument(help: ArgumentHelp("Id of the funnel.", valueName: "id")) var funnelID: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            Terminal.out(json: try await target.client.call("GET", "/v1/funnels/\(funnelID)"))
        }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the definition in a file under its funnel_id.",
            discussion: """
                Creates the funnel, or replaces the saved one. FUNNEL.md section 2 describes \
                the members of a definition.

                Examples:
                  sluice funnels apply shop.json
                  sluice funnels apply - < shop.json
                """)
        @Argument(help: "JSON file with a definition; - reads standard input.", completion: .file(extensions: ["json"])) var file: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let bytes = file == "-" ? Array(FileHandle.standardInput.readDataToEndOfFile()) : DurableFile.read(file)
            guard let bytes else { throw Failure("cannot read \(file)") }
            let document: JSONValue
            do throws(JSONError) {
                document = try JSONParser.parse(bytes)
            } catch {
                throw Failure("\(file): \(error)")
            }
            guard let id = document["funnel_id"]?.asString?.string else {
                throw Failure("\(file) has no \"funnel_id\": add the id to save it under")
            }
            _ = try await target.client.call("PUT", "/v1/funnels/\(id)", bytes)
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a saved funnel; the events stay.",
            discussion: """
                Alert rules that name the funnel are not evaluated from then on.

                Example:
                  sluice funnels delete shop
                """)
        @Argument(help: ArgumentHelp("Id of the funnel.", valueName: "id")) var funnelID: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/funnels/\(funnelID)")
            Terminal.note("deleted \(funnelID)")
            try await AlertText.warn(target.client, "the funnel \(funnelID)") { $0["funnel_id"]?.asString?.string == funnelID }
        }
    }
}
