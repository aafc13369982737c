import FunnelModel

extension RuleTables {
    /// What becomes of an event of an endpoint whose timestamp is absent, null or empty.
    package func missingTime(at endpoint: EventEndpoint) -> MissingTime {
        switch missingTimestamp(at: endpoint) {
        case .serverTime: .serverTime
        case .reject: .reject(timestampFault(at: endpoint))
        }
    }

    /// Reads an event in the native form. One without a timestamp gets the server's time, if the rules or the endpoint say so.
    /// - Parameters:
    ///   - text: the text that `document` was parsed from in `range`.
    ///   - now: the server's time in microseconds.
    package func read(
        _ document: JSONValue, text: [UInt8], _ range: Range<Int>, at endpoint: EventEndpoint, now: Int64
    ) throws(EventFault) -> (event: Event, hasServerTime: Bool) {
        let event = try EventReader(now: now, missingTime: missingTime(at: endpoint)).read(document, text: text, range)
        return (event, event.serverTimed)
    }
}
