extension Event {
    /// The event as clients send it.
    package var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("user_id", .string(user)), .init("event", .string(name)), .init("timestamp", .text(Timestamp.format(time))),
        ]
        if !id.isEmpty { members.append(.init("event_id", .string(id))) }
        members.append(.init("properties", .object(properties.map { .init($0.key, $0.value.json) })))
        return .object(members)
    }
}
