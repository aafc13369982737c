/// One fact about a user. A stored event never changes; corrections are new events.
package struct Event: Equatable, Sendable {
    package var user: ByteString
    package var name: ByteString
    /// Microseconds since 1970 UTC.
    package var time: Int64
    /// The client's message id; empty is none.
    package var id: ByteString
    /// Whether the server supplied the timestamp; then the event's identity is (user, name, id), without the time.
    package var serverTimed: Bool
    package var properties: [Property]

    package struct Property: Equatable, Sendable {
        package var key: ByteString
        package var value: PropertyValue

        package init(_ key: ByteString, _ value: PropertyValue) {
            self.key = key
            self.value = value
        }
    }

    package init(
        user: ByteString, name: ByteString, time: Int64, id: ByteString = "", serverTimed: Bool = false,
        properties: [Property] = []
    ) {
        self.user = user
        self.name = name
        self.time = time
        self.id = id
        self.serverTimed = serverTimed
        self.properties = properties
    }
}

extension Event {
    /// Properties as bytes whose order decides between rows that are otherwise equal: key, tag and value of each.
    /// - Parameter properties: in key order.
    package static func canonicalBytes(_ properties: [Property]) -> [UInt8] {
        var out = ByteWriter()
        for property in properties {
            out.string(property.key)
            switch property.value {
            case .string(let text):
                out.integer(EventBatch.Tag.string)
                out.string(text)
            case .integer(let value):
                out.integer(EventBatch.Tag.integer)
                out.integer(value)
            case .double(let value):
                out.integer(EventBatch.Tag.double)
                out.integer(value.bitPattern)
            case .bool(let value):
                out.integer(EventBatch.Tag.bool)
                out.integer(UInt64(value ? 1 : 0))
            }
        }
        return out.bytes
    }
}
