import EventShapes
import FunnelModel

/// The columns of a table with their meaning. Converts one record after another to the JSON text of a native event.
struct TableRow {
    private enum Role: Equatable {
        case user(Int)
        case anonymous(Int)
        case event(Int)
        case time(Int)
        case id(Int)
        case property
        case none
    }

    private struct Column {
        var name: ByteString
        var role: Role
        /// The property's name, and as a JSON key with quotes and colon.
        var property: ByteString = ""
        var key: [UInt8] = []
        var rule = CellReader.Rule.exact
        /// Number of cells that were numbers.
        var numbers = 0
        /// Number of cells that were text.
        var texts = 0
    }

    private var columns: [Column]
    let count: Int
    private let constantEvent: ByteString?
    /// The object that properties with a column name `properties.NAME` belong to.
    private let container: ByteString?
    /// Whether records are converted to documents of the shape first, because a flat row is not enough.
    let isDocument: Bool
    /// The JSON text of the record written last.
    private(set) var text: [UInt8] = []
    private(set) var isAnonymous = false

    /// The columns of a header.
    /// - Parameters:
    ///   - event: the name of all events; nil if a column has it.
    ///   - needsDocument: whether a record needs all its columns, also those that are left out of the properties.
    /// - Throws: `FileFault` if a column is given twice or missing, or the header is not UTF-8.
    init(
        _ names: [ByteString], _ shape: EventShape, required: [RequiredColumn], event: ByteString?, needsDocument: Bool
    ) throws {
        var seen: Set<ByteString> = []
        for name in names where !name.isEmpty && !seen.insert(name).inserted {
            throw FileFault("the header has two columns \"\(name.string.prefix(60))\"; rename one of them")
        }
        guard names.allSatisfy({ isValidUTF8($0.bytes) }) else {
            throw FileFault("the header is not UTF-8; if the file is Latin-1, convert it first: iconv -f LATIN1 -t UTF-8")
        }
        for column in required where !column.paths.contains(where: { $0.isIn(names, json: shape.jsonText) }) {
            let wanted = column.paths.map { "\"\($0.name.string)\"" }.joined(separator: " or ")
            throw FileFault("there is no column \(wanted) (\(column.option)); the columns are \(Self.list(names))")
        }
        count = names.count
        constantEvent = event
        container = shape.spread.first
        let named = names.filter { !$0.isEmpty }
        isDocument =
            shape.jsonText.contains(where: names.contains) || shape.parameterLists.contains { names.contains($0.name) }
            || (event == nil && shape.keepsOtherEventNames && shape.event.count { seen.contains($0.name) } > 1)
            || needsDocument || Set(named.map { shape.propertyName(ofColumn: $0) }).count < named.count
        columns = names.map { Column(name: $0, role: $0.isEmpty || !needsDocument && shape.leftOut.contains($0) ? .none : .property) }
        assignRoles(shape)
        for i in columns.indices where columns[i].role == .property {
            columns[i].property = shape.propertyName(ofColumn: columns[i].name)
            columns[i].key = JSONValue.string(columns[i].property).encode() + [UInt8(ascii: ":")]
            columns[i].rule = shape.rule(ofColumn: columns[i].name)
        }
    }

    private mutating func assignRoles(_ shape: EventShape) {
        func assign(_ paths: [MemberPath], _ role: (Int) -> Role) {
            for (rank, path) in paths.enumerated() {
                for i in columns.indices where columns[i].name == path.name { columns[i].role = role(rank) }
            }
        }
        assign(shape.anonymous) { .anonymous($0) }
        assign(shape.id) { .id($0) }
        assign(shape.time) { .time($0) }
        assign(shape.user) { .user($0) }
        guard constantEvent == nil else { return }
        let present = shape.event.filter { path in columns.contains { $0.name == path.name } }
        // If the file has `event`, `event_type` is a property.
        assign(shape.keepsOtherEventNames ? Array(present.prefix(1)) : shape.event) { .event($0) }
    }

    private static func list(_ names: [ByteString]) -> String {
        let shown = names.filter { !$0.isEmpty }.prefix(40).map { "\"\($0.string.prefix(60))\"" }.joined(separator: ", ")
        if names.count == 1 { return shown + " alone; is the separator right (--separator)?" }
        return names.count > 40 ? shown + ", …" : shown
    }

    /// Columns with numbers in some records and text in others.
    var mixed: [MixedColumn] {
        columns.filter { $0.texts > 0 && ($0.numbers > 0 || $0.rule == .number) }.map {
            MixedColumn(name: $0.name, numbers: $0.numbers, texts: $0.texts, isNumber: $0.rule == .number)
        }
    }

    func name(_ column: Int) -> ByteString { columns[column].name }

    /// Writes the event of a record to `text`.
    /// - Parameter time: the replacement for the text of a time; nil leaves it unchanged.
    mutating func write(
        _ record: borrowing Record, time: (Span<UInt8>) throws(EventFault) -> ByteString?
    ) throws(EventFault) {
        var user: Int?
        var anonymous: Int?
        var event: Int?
        var instant: Int?
        var id: Int?
        func take(_ place: Int, _ rank: Int, _ chosen: inout Int?) {
            if record.isEmpty(place) { return }
            // The lowest rank counts; names of columns are unique.
            if let other = chosen, rankOf(other) < rank { return }
            chosen = place
        }
        func rankOf(_ place: Int) -> Int {
            switch columns[place].role {
            case .user(let rank), .anonymous(let rank), .event(let rank), .time(let rank), .id(let rank): rank
            default: 0
            }
        }
        text.removeAll(keepingCapacity: true)
        text += "{\"properties\":{".utf8
        var isFirst = true
        for i in columns.indices {
            switch columns[i].role {
            case .none: continue
            case .user(let rank): take(i, rank, &user)
            case .anonymous(let rank): take(i, rank, &anonymous)
            case .event(let rank): take(i, rank, &event)
            case .time(let rank): take(i, rank, &instant)
            case .id(let rank): take(i, rank, &id)
            case .property:
                if record.isEmpty(i) { continue }
                if !isFirst { text.append(UInt8(ascii: ",")) }
                isFirst = false
                text += columns[i].key
                writeValue(record.cell(i), column: i)
            }
        }
        text.append(UInt8(ascii: "}"))
        isAnonymous = user == nil && anonymous != nil
        if let place = user ?? anonymous { writeField("user_id", record.cell(place)) }
        if user != nil, let anonymous { writeField("anonymous_id", record.cell(anonymous)) }
        if let constantEvent {
            writeField("event_type", constantEvent.bytes.span)
        } else if let event {
            writeField("event_type", record.cell(event))
        }
        if let instant {
            if let other = try time(record.cell(instant)) {
                writeField("timestamp", other.bytes.span)
            } else {
                writeField("timestamp", record.cell(instant))
            }
        }
        if let id { writeField("event_id", record.cell(id)) }
        text.append(UInt8(ascii: "}"))
    }

    private mutating func writeField(_ name: StaticString, _ value: Span<UInt8>) {
        text += ",\"".utf8
        text += name.description.utf8
        text += "\":".utf8
        JSONValue.writeString(value, to: &text)
    }

    private mutating func writeValue(_ cell: Span<UInt8>, column: Int) {
        let kind = CellReader.kind(cell, columns[column].rule)
        if kind == .text {
            columns[column].texts &+= 1
            JSONValue.writeString(cell, to: &text)
        } else {
            if kind == .number { columns[column].numbers &+= 1 }
            text.append(cell)
        }
    }

    /// A record as a document, with a member for each cell that is not empty.
    mutating func document(_ record: borrowing Record) throws(EventFault) -> JSONValue {
        var members: [JSONValue.Member] = []
        var spread: [JSONValue.Member] = []
        members.reserveCapacity(columns.count)
        for i in columns.indices where columns[i].role != .none && !record.isEmpty(i) {
            let cell = record.cell(i)
            guard columns[i].role == .property else {
                members.append(.init(columns[i].name, .string(record.text(i))))
                continue
            }
            text.removeAll(keepingCapacity: true)
            writeValue(cell, column: i)
            let value: JSONValue
            do {
                value = try JSONParser.parse(text)
            } catch {
                throw EventFault(String(columns[i].name.string.prefix(60)), error.description)
            }
            if columns[i].property == columns[i].name {
                members.append(.init(columns[i].name, value))
            } else {
                spread.append(.init(columns[i].property, value))
            }
        }
        if let container, !spread.isEmpty { members.append(.init(container, .object(spread))) }
        return .object(members)
    }
}

/// A column with numbers in some records and text in others.
package struct MixedColumn: Sendable {
    package var name: ByteString
    package var numbers: Int
    package var texts: Int
    /// Whether the column's rule is `.number`.
    package var isNumber: Bool
}

/// A column that an option or the defaults require.
package struct RequiredColumn: Sendable {
    package var option: String
    package var paths: [MemberPath]

    package init(option: String, paths: [MemberPath]) {
        self.option = option
        self.paths = paths
    }
}

/// The cells of one record, as views of the text.
struct Record: ~Escapable {
    let window: Span<UInt8>
    let scratch: Span<UInt8>
    let fields: Span<CSVReader.Field>

    @_lifetime(copy window, copy scratch, copy fields)
    init(window: Span<UInt8>, scratch: Span<UInt8>, fields: Span<CSVReader.Field>) {
        self.window = window
        self.scratch = scratch
        self.fields = fields
    }

    func isEmpty(_ column: Int) -> Bool { fields[column].end == fields[column].start }

    @_lifetime(copy self)
    func cell(_ column: Int) -> Span<UInt8> {
        let field = fields[column]
        return (field.isDecoded ? scratch : window).extracting(field.start..<field.end)
    }

    func text(_ column: Int) -> ByteString {
        let cell = cell(column)
        return ByteString(unsafe cell.withUnsafeBufferPointer { unsafe Array($0) })
    }
}
