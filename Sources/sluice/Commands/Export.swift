import ArgumentParser
import Foundation
import FunnelModel

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the stored events of a project as NDJSON or CSV.",
        discussion: """
            Writes every stored event once: ids, times, properties with their types, profile \
            records and claims. "sluice load --preset sluice-export --row-ids none FILE" stores them \
            in an empty cluster, which then gives equal answers (Protocol/FILES.md, section 10).

            Events that are stored while the export runs may be in it or not. With --output, an \
            export that was interrupted goes on where it ended: give the same command again. \
            FILE.cursor, which is beside the file until the export is complete, says where. A file \
            whose name ends in .gz is compressed.

            The exit status is 0 if the export is complete, and 1 if it is not.

            Examples:
              sluice export --output events.ndjson.gz
              sluice export --start 2026-01-01 --end 2026-01-31 --event Purchase
              sluice export --format csv | duckdb -c "COPY (FROM read_csv('/dev/stdin')) TO 'events.parquet'"
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case ndjson, csv }

    struct Subject: ParsableArguments {
        @Option(help: ArgumentHelp("Earliest time of the events: a day (2026-01-31) or an instant.", valueName: "time")) var start: String?
        @Option(help: ArgumentHelp("Latest time: a day, which is included, or an instant, which is not.", valueName: "time")) var end:
            String?
        @Option(help: ArgumentHelp("IANA time zone of the days; UTC by default.", valueName: "zone")) var timeZone: String?
        @Option(
            help: ArgumentHelp("Only events of this name, and no claims. May be given again, at most 100 times.", valueName: "name"))
        var event: [String] = []
        @Option(help: ArgumentHelp("Only events of this user.", valueName: "id")) var user: String?
        @Option(help: "ndjson has one object a line; csv has the properties as JSON in one column.") var format: Format = .ndjson
    }

    @OptionGroup(title: "Events") var subject: Subject
    @Option(name: [.long, .short], help: ArgumentHelp("File to write; - is standard output.", valueName: "file"), completion: .file())
    var output = "-"
    @OptionGroup(title: "Connection") var target: HTTPTarget

    /// Events of a page; the coordinator ends a page earlier if it has many bytes.
    private static let pageEvents = 65_536

    func validate() throws {
        if output.isEmpty { throw ValidationError("--output needs the name of a file, or -") }
        if output.hasSuffix("/") { throw ValidationError("--output \(output.printable) is a directory") }
    }

    func run() async throws {
        let query = query
        let file = output == "-" ? nil : try ExportFile(output, query: query)
        if let state = file?.state, state.events > 0 {
            Terminal.note("\(output.printable) has \(Terminal.count(state.events, "event")) as of \(state.asOf.printable); going on")
        }
        var cursor = file?.cursor
        var events = file?.state?.events ?? 0
        let before = events
        var asOf = ""
        let bar = ProgressBar("export")
        repeat {
            let path = "/v1/export/events?\(query)&limit=\(Self.pageEvents)" + (cursor.map { "&cursor=\(Self.encoded($0))" } ?? "")
            let page: (body: [UInt8], field: (String) -> String?)
            do {
                page = try await target.client.page(path, seconds: 300)
            } catch let failure as Failure where file != nil {
                bar.end()
                throw Failure("\(failure)\nThe same command goes on after \(Terminal.count(events, "event"))")
            }
            guard let count = page.field("Sluice-Events").flatMap({ Int($0) }), let moment = page.field("Sluice-As-Of") else {
                throw Failure("\(target.to.printable) answers without Sluice-Events: it is no coordinator of this release")
            }
            cursor = page.field("Sluice-Cursor")
            asOf = moment
            events += count
            if let file {
                try file.append(page.body, events: count, next: cursor, asOf: moment, query: query)
            } else {
                Terminal.write(page.body)
            }
            bar.show(rows: events - before, fraction: nil)
        } while cursor != nil
        bar.end()
        let place = output == "-" ? "" : " to \(output.printable)"
        Terminal.note("\(Terminal.count(events, "event"))\(place), claims included, as of \(asOf.printable)")
    }

    /// What is exported, as the query of a URL.
    private var query: String {
        var parameters = [("format", subject.format.rawValue)]
        if subject.format == .csv { parameters.append(("raw", "1")) }
        for (name, value) in [("start", subject.start), ("end", subject.end), ("time_zone", subject.timeZone), ("user", subject.user)] {
            if let value { parameters.append((name, value)) }
        }
        parameters += subject.event.map { ("event", $0) }
        return parameters.map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
    }

    private static func encoded(_ text: String) -> String {
        let plain = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
        return text.addingPercentEncoding(withAllowedCharacters: plain) ?? text
    }
}
