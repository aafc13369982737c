import FunnelModel

/// The meaning of the members of a document, or of the columns of a table (`FILES.md` section 3). Only data; `ShapeReader`
/// reads by it.
package struct EventShape: Sendable {
    /// Places of the user id. Of each field, the first place with a value that is neither null nor empty counts.
    package var user: [MemberPath] = ["user_id"]
    package var anonymous: [MemberPath] = []
    package var event: [MemberPath] = ["event", "event_type"]
    /// Whether the places of the event's name that do not count become properties.
    package var keepsOtherEventNames = true
    package var time: [MemberPath] = ["timestamp"]
    package var id: [MemberPath] = ["event_id"]

    /// Objects whose members become properties under their own names, and win over other properties of equal names.
    package var spread: [ByteString] = ["properties"]
    /// Lists of `{"key", "value": {"string_value" | "int_value" | …}}`.
    package var parameterLists: [ParameterList] = []
    /// Members whose text is parsed as JSON.
    package var jsonText: [ByteString] = []
    package var leftOut: Set<ByteString> = []
    /// Whether columns of a table may have names `properties.NAME`, after the object that they are from.
    package var namesMembersByPrefix = false

    /// Whether a document with a member `claim` is a claim and no event, as in exports of Sluice.
    package var hasClaims = false

    /// Names of columns whose cells are numbers if they are JSON numbers; `*` is all.
    package var numberColumns: Set<ByteString> = []
    /// Names of columns whose cells are text; `*` is all.
    package var textColumns: Set<ByteString> = []
    /// Format of times, if they are neither ISO 8601 nor numbers since 1970.
    package var timeFormat: TimeFormat?

    /// A list of properties, as in exports of Google Analytics 4.
    package struct ParameterList: Sendable {
        package var name: ByteString
        /// Prefix of the property names.
        package var prefix: ByteString
        /// Whether its properties win over others of equal names.
        package var wins: Bool

        package init(name: ByteString, prefix: ByteString, wins: Bool) {
            (self.name, self.prefix, self.wins) = (name, prefix, wins)
        }
    }

    package init() {}

    /// Whether lines are native events without conversion, apart from members that become properties.
    package var isNative: Bool {
        user == ["user_id"] && anonymous.isEmpty && (event == ["event", "event_type"] || event == ["event"]) && time == ["timestamp"]
            && id == ["event_id"] && spread == ["properties"] && parameterLists.isEmpty && jsonText.isEmpty
            && leftOut.isEmpty && timeFormat == nil
    }

    /// The name in the file of a field of a native event, for error texts: its first place.
    package func name(ofField field: String) -> String {
        let paths: [MemberPath]
        switch field {
        case "user_id": paths = user
        case "event", "event_type": paths = event
        case "timestamp": paths = time
        case "event_id": paths = id
        default: return field
        }
        return paths.first?.name.string ?? field
    }

    /// The property name of a column; with `namesMembersByPrefix`, `NAME` for a column `properties.NAME`.
    package func propertyName(ofColumn name: ByteString) -> ByteString {
        guard namesMembersByPrefix else { return name }
        for container in spread where name.count > container.count + 1 && name.bytes.starts(with: container.bytes + [UInt8(ascii: ".")]) {
            return ByteString(name.bytes[(container.count + 1)...])
        }
        return name
    }

    /// How the cells of a column are read.
    package func rule(ofColumn name: ByteString) -> CellReader.Rule {
        if textColumns.contains(name) { return .text }
        if numberColumns.contains(name) { return .number }
        return textColumns.contains("*") ? .text : numberColumns.contains("*") ? .number : .exact
    }
}
