import ArgumentParser
import FunnelModel
import ServiceRuntime

struct Annotations: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, add and delete annotations of trends, such as releases.",
        discussion: """
            Trends in the dashboard show an annotation at its time. Looking needs an API key of the \
            role read, the rest one of the role admin, in the variable SLUICE_KEY or in --key-file.

            Examples:
              sluice annotations add "Release 42"
              sluice annotations list --start 2026-11-01 --end 2026-11-30
              sluice annotations delete release-42
            """,
        subcommands: [List.self, Add.self, Delete.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the annotations, one a line, by time.",
            discussion: """
                Examples:
                  sluice annotations list
                  sluice annotations list --start 2026-11-01 --format json
                """)
        @Option(help: ArgumentHelp("Only from this date (UTC) or instant on.", valueName: "time")) var start: String?
        @Option(help: ArgumentHelp("Only to this date, included, or before this instant.", valueName: "time")) var end: String?
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let bounds = [("start", start), ("end", end)].compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }
            let answer = try await target.client.call(
                "GET", "/v1/annotations" + (bounds.isEmpty ? "" : "?" + bounds.joined(separator: "&")))
            if format == .json { return Terminal.out(json: answer) }
            let found = try JSONParser.parse(answer)["annotations"]?.asArray ?? []
            if found.isEmpty { return Terminal.note("no annotations; 'sluice annotations add TEXT' adds one") }
            for annotation in found {
                func text(_ key: ByteString) -> String { annotation[key]?.asString?.string.printable ?? "" }
                let funnel = annotation["funnel_id"] == nil ? "" : " (funnel \(text("funnel_id")))"
                Terminal.out("\(text("time")) \(text("id")): \(text("text"))\(funnel)")
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add an annotation, by default at this moment.",
            discussion: """
                An annotation with the same id is replaced. Without --id, the id is made of the text \
                and the time.

                Examples:
                  sluice annotations add "Release 42"
                  sluice annotations add "New prices" --time 2026-11-20T09:00:00Z --funnel shop
                  sluice annotations add "Release 43" --id release-43
                """)
        @Argument(help: ArgumentHelp("What happened, at most 200 bytes.", valueName: "text")) var text: String
        @Option(help: ArgumentHelp("When it happened, an RFC 3339 instant; by default now.", valueName: "time")) var time: String?
        @Option(help: ArgumentHelp("Only trends of this funnel show it; by default all do.", valueName: "funnel-id")) var funnel: String?
        @Option(help: ArgumentHelp("Id to save it under.", valueName: "id")) var id: String?
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let time = time ?? Timestamp.format(WallClock.now() / 1_000_000 * 1_000_000)
            let id = id ?? Self.id(text, time)
            var members: [JSONValue.Member] = [.init("text", .text(text)), .init("time", .text(time))]
            if let funnel { members.append(.init("funnel_id", .text(funnel))) }
            _ = try await target.client.call("PUT", "/v1/annotations/\(id.percentEncoded)", JSONValue.object(members).encode())
            Terminal.note("added \(id) at \(time)")
        }

        /// The characters of text and time that an id may have.
        private static func id(_ text: String, _ time: String) -> String {
            func plain(_ text: String) -> String {
                String(decoding: text.utf8.map { FunnelDefinition.isValidID(ByteString([$0])) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
            }
            return String(plain(text).prefix(40)) + "-" + plain(time)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an annotation.",
            discussion: """
                Example:
                  sluice annotations delete release-42
                """)
        @Argument(help: ArgumentHelp("Id of the annotation.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/annotations/\(id.percentEncoded)")
            Terminal.note("deleted \(id)")
        }
    }
}
