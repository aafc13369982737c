/// A statement of a client that two ids are one person. A set of facts: of equal ones only the earliest time matters.
package struct Claim: Hashable, Sendable {
    package enum Kind: CaseIterable, Sendable {
        /// An event had both ids: that of the device and that of the user.
        case identify
        /// An explicit merge.
        case alias
    }

    package var kind: Kind
    package var child: ByteString
    package var parent: ByteString
    /// The record's time, in microseconds since 1970.
    package var time: Int64

    package init(kind: Kind, child: ByteString, parent: ByteString, time: Int64) {
        self.kind = kind
        self.child = child
        self.parent = parent
        self.time = time
    }
}

// MARK: - As a row

extension Claim {
    /// The row that stores the claim, on the shard of the child (`Protocol/SEGMENT.md`, "Claims"). It is marked as server-timed, so
    /// that of equal claims the one with the smallest time stays.
    package var row: Event {
        Event(
            user: child, name: EventName.claim(kind), time: time, id: Self.id(of: parent), serverTimed: true,
            properties: parent.count <= Limits.eventIDBytes ? [] : [.init(Self.parentKey, .string(parent))])
    }

    /// The claim of a row; nil for rows of events.
    package init?(row: Event) {
        guard let kind = Kind.allCases.first(where: { EventName.claim($0) == row.name }) else { return nil }
        var parent = row.id
        if case .string(let long)? = row.properties.first(where: { $0.key == Self.parentKey })?.value { parent = long }
        self.init(kind: kind, child: row.user, parent: parent, time: row.time)
    }

    /// The property of a parent that is too long for an event id.
    package static let parentKey: ByteString = "\u{0}parent"

    /// The parent, if it is short enough for an event id, else its beginning and a hash.
    private static func id(of parent: ByteString) -> ByteString {
        if parent.count <= Limits.eventIDBytes { return parent }
        let hash = Array(String(XXH64.hash(parent.bytes), radix: 16).utf8)
        return ByteString(Array(parent.bytes.prefix(Limits.eventIDBytes - hash.count)) + hash)
    }
}
