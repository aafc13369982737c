import EventRules
import FunnelModel
import Testing

/// What rules make of events, as short text that tables of cases can hold.
enum RuledEvents {
    static func tables(_ rules: String) throws -> RuleTables { RuleTables(try list(rules)) }

    /// Rules from the text of their list.
    static func list(_ rules: String) throws -> RuleList { try RuleList.parse(Array("{\"rules\":\(rules)}".utf8)) }

    /// An event from its name and its properties as JSON.
    static func event(_ name: String, _ properties: String = "{}", user: String = "u", id: String = "i") throws -> Event {
        let document: JSONValue = [
            "user_id": .text(user), "event": .text(name), "timestamp": 1_700_000_000, "event_id": .text(id),
            "properties": try JSONParser.parse(Array(properties.utf8)),
        ]
        return try EventReader(now: 1_800_000_000_000_000).read(document, text: [], 0..<0)
    }

    /// `name {properties}`, `dropped: rules[i]`, or `rejected:` and the reason.
    static func one(_ rules: String, _ name: String, _ properties: String = "{}") throws -> String {
        let ruled = try tables(rules).apply(to: EventBatchBuilder([event(name, properties)]).finish())
        if let dropped = ruled.dropped.first { return "dropped: rules[\(dropped.rule)]" }
        if let rejected = ruled.rejected.first { return "rejected: \(rejected.fault.reason)" }
        let event = try #require(ruled.batch.events.first)
        return text(event)
    }

    static func text(_ event: Event) -> String {
        let properties = JSONValue.object(event.properties.map { .init($0.key, $0.value.json) })
        return "\(event.name) " + String(decoding: properties.encode(), as: UTF8.self)
    }
}
