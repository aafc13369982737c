import FunnelModel

/// What holds of every event that ingest accepts, wherever it came from.
enum EventChecks {
    /// The server's time that the surfaces read with.
    static let now: Int64 = 1_767_268_800_000_000

    static func check(_ batch: EventBatch) {
        let reader = EventReader(now: now)
        for row in 0..<batch.count {
            if let fault = reader.check(batch, row: row) { Fuzz.check(false, "an accepted event is at fault: \(fault.reason)") }
            check(batch.event(row))
        }
    }

    private static func check(_ event: Event) {
        check(event.user, 1...Limits.userIDBytes, "user")
        check(event.name, 1...Limits.eventNameBytes, "event name")
        check(event.id, 0...Limits.eventIDBytes, "event id")
        Fuzz.check(event.properties.count <= Limits.propertiesPerEvent, "an event has \(event.properties.count) properties")
        Fuzz.check(Set(event.properties.map(\.key)).count == event.properties.count, "an event has a property twice")
        var bytes = 0
        for property in event.properties {
            check(property.key, 1...Limits.propertyKeyBytes, "property key")
            bytes += property.key.count
            switch property.value {
            case .string(let text):
                check(text, 0...Limits.propertyValueBytes, "property value")
                bytes += text.count
            case .double(let number): Fuzz.check(number.isFinite, "a property is not finite")
            case .integer, .bool: break
            }
        }
        Fuzz.check(bytes <= Limits.propertyBytesPerEvent, "the properties of an event take \(bytes) bytes")
    }

    static func check(_ text: ByteString, _ lengths: ClosedRange<Int>, _ what: String) {
        Fuzz.check(lengths.contains(text.count), "a \(what) has \(text.count) bytes")
        Fuzz.check(isValidUTF8(text.bytes), "a \(what) is not UTF-8")
    }

    static func check(_ claim: Claim) {
        check(claim.child, 1...Limits.userIDBytes, "claim's child")
        check(claim.parent, 1...Limits.userIDBytes, "claim's parent")
    }
}
