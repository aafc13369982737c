import ArgumentParser
import FunnelModel
import ServiceRuntime

struct Annotations: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, add and delete annotations: releases, campaigns and outages on charts over time.",
        discussion: """
            The dashboard shows an annotation as a mark on its charts over time. Listing needs an API \
            key of the role read, the rest one of the role admin, in the variable SLUICE_KEY or in \
            --key-file.

            Examples:
              sluice annotations add "Release 42"
              sluice annotations list
              sluice annotations delete release-41
            """,
        subcommands: [List.self, Add.self, Delete.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the annotations, one a line, in the order of time.",
            discussion: """
                Examples:
                  sluice annotations list
                  sluice annotations list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/annotations")
            if format == .json { return Terminal.out(json: answer) }
            let annotations = try JSONParser.parse(answer)["annotations"]?.asArray ?? []
            if annotations.isEmpty { return Terminal.note("no annotations; 'sluice annotations add TEXT' saves one") }
            for annotation in annotations { Terminal.out(Self.line(annotation)) }
        }

        private static func line(_ annotation: JSONValue) -> String {
            func text(_ name: ByteString) -> String? { annotation[name]?.asString?.string.printable }
            var line = "\(text("id") ?? ""): \(text("start") ?? "")"
            if let end = text("end") { line += " to \(end)" }
            if let funnel = text("funnel_id") { line += ", funnel \(funnel)" }
            return "\(line): \(text("text") ?? "")"
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save an annotation, by default at the present time.",
            discussion: """
                Without --id, the id is made of the time, the text and the funnel, so that a repeat \
                with the same --start adds nothing. An annotation that is saved under the same id is \
                replaced.

                Examples:
                  sluice annotations add "Release 42"
                  sluice annotations add "Release 42" --id release-42 --funnel shop
                  sluice annotations add "Payment outage" --start 2026-11-01T09:30Z --end 2026-11-01T11:00Z
                """)
        @Argument(help: "One line of at most 200 bytes.") var text: String
        @Option(help: ArgumentHelp("The time, or the beginning of a span; UTC without an offset. By default now.", valueName: "time"))
        var start: String?
        @Option(help: ArgumentHelp("The end of a span. By default the annotation is an instant.", valueName: "time")) var end: String?
        @Option(help: ArgumentHelp("Id of the funnel whose charts show it. By default all show it.", valueName: "id")) var funnel: String?
        @Option(help: ArgumentHelp("Id of the annotation.", valueName: "id")) var id: String?
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let start = try Self.time("start", start) ?? WallClock.now() / 1_000_000 * 1_000_000
            var members: [JSONValue.Member] = [.init("text", .text(text)), .init("start", .text(Timestamp.format(start)))]
            if let end = try Self.time("end", end) { members.append(.init("end", .text(Timestamp.format(end)))) }
            if let funnel { members.append(.init("funnel_id", .text(funnel))) }
            let id = id ?? Self.id(start: start, text: text, funnel: funnel)
            _ = try await target.client.call("PUT", "/v1/annotations/\(id)", JSONValue.object(members).encode())
            Terminal.note("saved \(id)")
        }

        private static func time(_ name: String, _ text: String?) throws -> Int64? {
            guard let text else { return nil }
            if let time = try? Timestamp.parse(ByteString(text)) { return time }
            throw ValidationError("--\(name) must be a time such as 2026-11-01T09:30Z; \"\(text.printable)\" is not")
        }

        /// Such as `20261101-093000-5f2b81c0`.
        private static func id(start: Int64, text: String, funnel: String?) -> String {
            let time = Timestamp.format(start / 1_000_000 * 1_000_000).filter { $0.isNumber || $0 == "T" }.replacing("T", with: "-")
            let hash = XXH64.hash([UInt8]("\(start) \(funnel ?? "") \(text)".utf8))
            return "\(time)-\(Hex.text((0..<4).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }))"
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an annotation.",
            discussion: """
                Example:
                  sluice annotations delete release-41
                """)
        @Argument(help: ArgumentHelp("Id of the annotation.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/annotations/\(id)")
            Terminal.note("deleted \(id)")
        }
    }
}
