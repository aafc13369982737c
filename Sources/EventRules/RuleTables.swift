import FunnelModel

/// The rules of a project, compiled once for many batches.
package struct RuleTables: Sendable {
    /// The revision of the rules; 0: the project has none.
    package let revision: UInt64
    let names: NameTables
    let properties: PropertyTables
    private let timestamps: [EventEndpoint: Timestamps]

    private struct Timestamps: Sendable {
        var action: MissingTimestamp
        var rule: Int
    }

    package init(_ list: RuleList, revision: UInt64 = 0) {
        self.revision = revision
        names = NameTables(list.rules)
        properties = PropertyTables(list.rules)
        var timestamps: [EventEndpoint: Timestamps] = [:]
        for (i, rule) in list.rules.enumerated() {
            guard case .missingTimestamp(let endpoints, let action) = rule else { continue }
            for endpoint in endpoints { timestamps[endpoint] = Timestamps(action: action, rule: i) }
        }
        self.timestamps = timestamps
    }

    /// Whether no rule changes a batch. A rule about timestamps applies before there is one.
    package var isEmpty: Bool { names.isEmpty && properties.isEmpty }

    /// What becomes of an event without a timestamp.
    package func missingTimestamp(at endpoint: EventEndpoint) -> MissingTimestamp {
        timestamps[endpoint]?.action ?? endpoint.missingTimestamp
    }

    /// Why an event without a timestamp is rejected.
    package func timestampFault(at endpoint: EventEndpoint) -> EventFault {
        let rule = timestamps[endpoint].map { " (rules[\($0.rule)])" } ?? ""
        return EventFault("timestamp", "field required" + rule, "missing")
    }
}
