import FunnelModel

/// What the members of a document, or the columns of a record, mean. Data: nothing of it reads anything.
package struct EventShape: Sendable {
    /// Of each field the places it may stand in; the first that holds something counts.
    package var user: [MemberPath] = ["user_id"]
    package var anonymous: [MemberPath] = []
    package var event: [MemberPath] = ["event", "event_type"]
    /// Whether the places of the event's name that were not taken are properties.
    package var keepsOtherEventNames = true
    package var time: [MemberPath] = ["timestamp"]
    package var id: [MemberPath] = ["event_id"]

    /// How the value under `event` becomes the event's name.
    package var naming = Naming.asIs
    /// Objects whose members are properties by their own names, and win over equal ones.
    package var spread: [ByteString] = ["properties"]
    /// Lists of `{"key", "value": {"string_value" | "int_value" | …}}`.
    package var parameterLists: [ParameterList] = []
    /// Members whose text is read as JSON.
    package var jsonText: [ByteString] = []
    package var leftOut: Set<ByteString> = []
    /// Whether columns of a table may be called `properties.NAME`, after the object that they were taken from.
    package var namesMembersByPrefix = false

    /// Names of columns whose cells are numbers wherever JSON has one; `*` is all.
    package var numberColumns: Set<ByteString> = []
    /// Names of columns whose cells are text; `*` is all.
    package var textColumns: Set<ByteString> = []
    /// Of times that are no ISO 8601 and no epoch.
    package var timeFormat: TimeFormat?

    package enum Naming: Sendable, Equatable {
        case asIs
        /// Of every record.
        case constant(ByteString)
        /// Calls of the Segment specification: by `type`, track by `event`.
        case segmentCall
    }

    package struct ParameterList: Sendable {
        package var name: ByteString
        /// What the property names begin with.
        package var prefix: ByteString
        /// Its properties win over equal ones.
        package var wins: Bool
    }

    package init() {}

    /// Whether lines are native events as they stand, apart from members that become properties.
    package var isNative: Bool {
        user == ["user_id"] && anonymous.isEmpty && (event == ["event", "event_type"] || event == ["event"]) && time == ["timestamp"]
            && id == ["event_id"] && naming == .asIs && spread == ["properties"] && parameterLists.isEmpty && jsonText.isEmpty
            && leftOut.isEmpty && timeFormat == nil
    }

    /// The first place of a field of a native event, as the file names it: for error texts.
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

    /// The name of the property in a column; a column `properties.NAME` holds a member of the object.
    package func propertyName(ofColumn name: ByteString) -> ByteString {
        guard namesMembersByPrefix else { return name }
        for container in spread where name.count > container.count + 1 && name.bytes.starts(with: container.bytes + [UInt8(ascii: ".")]) {
            return ByteString(name.bytes[(container.count + 1)...])
        }
        return name
    }

    package func rule(ofColumn name: ByteString) -> CellReader.Rule {
        if textColumns.contains(name) { return .text }
        if numberColumns.contains(name) { return .number }
        return textColumns.contains("*") ? .text : numberColumns.contains("*") ? .number : .exact
    }
}
