import FunnelModel

/// The place of a value in a document: the member with this name, else a path through objects, of names joined by `.`.
package struct MemberPath: Equatable, Sendable, ExpressibleByStringLiteral {
    package let name: ByteString
    private let parts: [ByteString]

    package init(_ name: String) {
        self.name = ByteString(name)
        parts = name.split(separator: ".", omittingEmptySubsequences: false).map { ByteString($0) }
    }

    /// The path of a value that was found.
    /// - Parameter steps: the names that lead to it.
    init(steps: [ByteString]) {
        name = steps.count == 1 ? steps[0] : ByteString(steps.map(\.string).joined(separator: "."))
        parts = steps
    }

    package init(stringLiteral name: String) { self.init(name) }

    /// The value and the names that lead to it; nil if there is none.
    func value(in document: JSONValue) -> (value: JSONValue, steps: [ByteString])? {
        if let value = document[name] { return (value, [name]) }
        guard parts.count > 1 else { return nil }
        var value = document
        for part in parts {
            guard let inner = value[part] else { return nil }
            value = inner
        }
        return (value, parts)
    }

    /// Whether a table with these columns can have the value: as a column, or in a column that is parsed as JSON.
    package func isIn(_ columns: [ByteString], json: [ByteString]) -> Bool {
        columns.contains(name) || (parts.count > 1 && columns.contains(parts[0]) && json.contains(parts[0]))
    }

    /// Removes the value.
    func remove(from members: inout [JSONValue.Member]) {
        if members.contains(where: { $0.key == name }) {
            members.removeAll { $0.key == name }
        } else if parts.count > 1 {
            Self.remove(parts[...], from: &members)
        }
    }

    private static func remove(_ steps: ArraySlice<ByteString>, from members: inout [JSONValue.Member]) {
        guard let first = steps.first else { return }
        if steps.count == 1 { return members.removeAll { $0.key == first } }
        for i in members.indices where members[i].key == first {
            guard var inner = members[i].value.asObject else { continue }
            remove(steps.dropFirst(), from: &inner)
            members[i].value = .object(inner)
        }
    }
}
