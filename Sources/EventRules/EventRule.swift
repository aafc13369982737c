import FunnelModel

/// One normalisation rule (`Protocol/RULES.md`). Names are as their author wrote them.
package enum EventRule: Equatable, Sendable {
    case replacePrefix(ByteString, with: ByteString)
    case lowerCaseEvents
    case renameEvents([ByteString], NameMatch, to: ByteString)
    case dropEvents([ByteString], NameMatch)
    /// `events` are the events that the rule is for; nil: all.
    case renameProperties([ByteString], to: ByteString, events: [ByteString]?)
    case dropProperties([ByteString], events: [ByteString]?)
    case castProperties([ByteString], to: CastTarget, otherwise: CastFailure, events: [ByteString]?)
    case defaultProperty(ByteString, value: PropertyValue, events: [ByteString]?)
    case missingTimestamp([EventEndpoint], to: MissingTimestamp)

    /// What a rule does: the name of its first member in a file.
    package enum Kind: String, CaseIterable, Sendable {
        case replacePrefix = "replace_prefix"
        case lowerCaseEvents = "lower_case_events"
        case renameEvents = "rename_events"
        case dropEvents = "drop_events"
        case renameProperties = "rename_properties"
        case dropProperties = "drop_properties"
        case castProperties = "cast_properties"
        case defaultProperty = "default_property"
        case missingTimestamp = "missing_timestamp"

        var member: ByteString { ByteString(rawValue) }
    }

    package var kind: Kind {
        switch self {
        case .replacePrefix: .replacePrefix
        case .lowerCaseEvents: .lowerCaseEvents
        case .renameEvents: .renameEvents
        case .dropEvents: .dropEvents
        case .renameProperties: .renameProperties
        case .dropProperties: .dropProperties
        case .castProperties: .castProperties
        case .defaultProperty: .defaultProperty
        case .missingTimestamp: .missingTimestamp
        }
    }
}

/// How the names of a rule are compared with the name of an event.
package enum NameMatch: String, CaseIterable, Sendable {
    case exact
    /// A to Z are a to z. Other letters have no case, so that a later version of Unicode cannot change what a rule does.
    case anyCase = "any_case"
    /// The event's name begins with the rule's name.
    case prefix
}

/// What becomes of an event without a timestamp.
package enum MissingTimestamp: String, CaseIterable, Sendable {
    /// The event gets the server's time, and its row is marked as server-timed if it has an id.
    case serverTime = "server_time"
    case reject
}

/// Where ingest takes events, as rules name it.
package enum EventEndpoint: String, CaseIterable, Sendable {
    case trackEvent = "track_event"
    case events
    case segment, posthog, mixpanel, amplitude, snowplow, cloudevents

    /// What becomes of an event without a timestamp if no rule says.
    package var missingTimestamp: MissingTimestamp {
        switch self {
        case .trackEvent, .events: .reject
        case .segment, .posthog, .mixpanel, .amplitude, .snowplow, .cloudevents: .serverTime
        }
    }
}
