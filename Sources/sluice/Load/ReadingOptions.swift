import ArgumentParser
import EventFiles
import EventShapes
import FunnelModel
import ServiceRuntime
import TimeZones

/// How files are read: options of `sluice load` that need no cluster.
struct ReadingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "File format: \(FilePreset.all.map(\.name).joined(separator: ", ")). Other options change parts of it.", valueName: "name"))
    var preset: String?
    @Option(help: "Column or member with the user id; a.b is member b of object a. (default: user_id)") var userID: String?
    @Option(
        help: """
            Column or member with the id of a device or visitor: the user of a record without one. With both, a claim is stored that they are \
            one person.
            """)
    var anonymousID: String?
    @Option(help: "Column or member with the event name. (default: event, or else event_type)") var event: String?
    @Option(help: "Column or member with the time. (default: timestamp)") var timestamp: String?
    @Option(help: "Column or member with the event id; \"\" ignores the file's ids. (default: event_id)") var eventID: String?
    @Option(
        help: ArgumentHelp(
            "Format of the times where it is not ISO 8601 or an epoch number, as of strptime: \"%d/%m/%Y %H:%M\".", valueName: "format"))
    var timestampFormat: String?
    @Option(help: "IANA zone of times that name none. (default: UTC)") var timeZone: String?
    @Option(help: "Separator of columns: one character, or tab. (default: guessed from the first line)") var separator: String?
    @Flag(help: "Quotes are ordinary characters.") var noQuotes = false
    @Flag(help: "The first record is an event; --columns names the columns.") var noHeader = false
    @Option(help: "Names of the columns, with --no-header: a,b,c.") var columns: String?
    @Option(help: ArgumentHelp("A column or member whose text is JSON. May be given again.", valueName: "column")) var jsonColumn:
        [String] = []
    @Option(
        help: ArgumentHelp(
            "A column whose cells are numbers wherever they can be, 12.50 too; * is all. May be given again.", valueName: "column"))
    var number: [String] = []
    @Option(help: ArgumentHelp("A column whose cells are text; * is all. May be given again.", valueName: "column")) var text: [String] = []

    func fileOptions() throws -> FileOptions {
        var options = FileOptions()
        if let preset {
            guard let found = FilePreset.named(preset) else {
                throw ValidationError("there is no preset \"\(preset)\"; there are \(FilePreset.all.map(\.name).joined(separator: ", "))")
            }
            options.shape = found.shape
            options.table = found.table
            options.product = found.product
        }
        try setPlaces(&options)
        try setTable(&options.table)
        let shape = options.shape
        options.required += [
            RequiredColumn(option: "--user-id", paths: shape.user + shape.anonymous),
            RequiredColumn(option: "--timestamp", paths: shape.time),
        ]
        if !shape.event.isEmpty { options.required.append(RequiredColumn(option: "--event", paths: shape.event)) }
        options.shape.jsonText += jsonColumn.map { ByteString($0) }
        options.shape.numberColumns.formUnion(number.map { ByteString($0) })
        options.shape.textColumns.formUnion(text.map { ByteString($0) })
        options.required += (jsonColumn + number + text).filter { $0 != "*" }.map {
            RequiredColumn(
                option: jsonColumn.contains($0) ? "--json-column" : number.contains($0) ? "--number" : "--text", paths: [MemberPath($0)])
        }
        let fields = [userID, anonymousID, event, timestamp, eventID].compactMap(\.self).filter { !$0.isEmpty }
        if let twice = fields.first(where: { name in fields.count { $0 == name } > 1 }) {
            throw ValidationError("column \"\(twice)\" cannot be two of user id, anonymous id, event, timestamp and event id")
        }
        if let both = number.first(where: text.contains) { throw ValidationError("column \"\(both)\" cannot be --number and --text") }
        if let timestampFormat {
            do {
                options.shape.timeFormat = try TimeFormat(timestampFormat)
            } catch {
                throw ValidationError("--timestamp-format \"\(timestampFormat)\": \(error)")
            }
        }
        if let timeZone {
            guard let zone = NamedZone(timeZone) else { throw ValidationError("--time-zone: \"\(timeZone)\" is not an IANA time zone") }
            options.zone = zone
        }
        return options
    }

    /// The options for objects of JSON, as a shell reads them; those for CSV are left out.
    var jsonWords: [String] {
        let named: [(option: String, value: String?)] = [
            ("--preset", preset), ("--user-id", userID), ("--anonymous-id", anonymousID), ("--event", event), ("--timestamp", timestamp),
            ("--event-id", eventID), ("--timestamp-format", timestampFormat), ("--time-zone", timeZone),
        ]
        let all = named + jsonColumn.map { ("--json-column", $0) }
        return all.flatMap { option, value in value.map { [option, shellWord($0)] } ?? [] }
    }

    private func setPlaces(_ options: inout FileOptions) throws {
        func require(_ option: String, _ name: String) {
            options.required.append(RequiredColumn(option: option, paths: [MemberPath(name)]))
        }
        for (option, name) in [("--user-id", userID), ("--event", event), ("--timestamp", timestamp), ("--anonymous-id", anonymousID)] {
            guard let name else { continue }
            if name.isEmpty { throw ValidationError("\(option) needs the name of a column") }
            require(option, name)
        }
        if let userID { options.shape.user = [MemberPath(userID)] }
        if let anonymousID { options.shape.anonymous = [MemberPath(anonymousID)] }
        if let event { options.shape.event = [MemberPath(event)] }
        if let timestamp { options.shape.time = [MemberPath(timestamp)] }
        if let eventID {
            options.shape.id = eventID.isEmpty ? [] : [MemberPath(eventID)]
            if !eventID.isEmpty { require("--event-id", eventID) }
        }
    }

    private func setTable(_ table: inout TableFormat) throws {
        if let separator {
            let byte = ["tab", "\\t"].contains(separator) ? [9] : Array(separator.utf8)
            guard byte.count == 1, ![UInt8(ascii: "\""), 10, 13].contains(byte[0]) else {
                throw ValidationError("--separator \"\(separator)\" must be one character of ASCII, or tab, and no quote or line end")
            }
            table.separator = byte[0]
        }
        if noQuotes { table.hasQuotes = false }
        guard noHeader else {
            if columns != nil { throw ValidationError("--columns goes with --no-header") }
            return
        }
        guard let columns else {
            if case .none = table.header { return }
            throw ValidationError("--no-header needs --columns a,b,c")
        }
        table.header = .none([
            TableFormat.Columns(columns.split(separator: ",", omittingEmptySubsequences: false).map { String($0.trimmingSpaces) })
        ])
    }
}
