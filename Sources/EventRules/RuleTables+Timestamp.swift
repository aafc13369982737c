import FunnelModel

extension RuleTables {
    /// Reads an event in the native form. One whose timestamp is absent, null or empty gets the server's time, if the rules or
    /// the endpoint say so.
    ///
    /// A row with the server's time is marked as server-timed once it has an id: then repeats are recognised without the time.
    /// - Parameters:
    ///   - text: the text that `document` was parsed from in `range`.
    ///   - now: the server's time in microseconds.
    package func read(
        _ document: JSONValue, text: [UInt8], _ range: Range<Int>, at endpoint: EventEndpoint, now: Int64
    ) throws(EventFault) -> (event: Event, hasServerTime: Bool) {
        let reader = EventReader(now: now)
        guard let members = document.asObject, Self.isMissing(document["timestamp"]) else {
            return (try reader.read(document, text: text, range), false)
        }
        let timed = JSONValue.object(members + [.init("timestamp", .text(Timestamp.format(now)))])
        // Other faults of the event come first, as they do at an endpoint without a rule.
        let event = try reader.read(timed, text: [], 0..<0)
        guard missingTimestamp(at: endpoint) == .serverTime else { throw timestampFault(at: endpoint) }
        return (event, true)
    }

    private static func isMissing(_ value: JSONValue?) -> Bool { value == nil || value == .null || value == .string("") }
}
