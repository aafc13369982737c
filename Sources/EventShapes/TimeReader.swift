import FunnelModel
import TimeZones

/// Converts times of a file to the form of native events: by a format, and by a time zone for times without one.
package struct TimeReader: Sendable {
    private let format: TimeFormat?
    private var clock: LocalClock?

    /// A reader of times in a format; nil is every form that Sluice reads.
    /// - Parameter clock: the zone of times without one; nil is UTC.
    package init(format: TimeFormat?, clock: LocalClock?) {
        self.format = format
        self.clock = clock
    }

    /// A cell's time as text of a native event; nil if it needs no conversion.
    package mutating func text(_ cell: Span<UInt8>) throws(EventFault) -> ByteString? {
        if format == nil, clock == nil { return nil }
        let text = ByteString(unsafe cell.withUnsafeBufferPointer { unsafe Array($0) })
        return try native(.string(text)).asString
    }

    mutating func native(_ value: JSONValue) throws(EventFault) -> JSONValue {
        if format == nil, clock == nil { return value }
        do {
            return .text(Timestamp.format(try instant(value)))
        } catch {
            let shown = value.asString.map { "\"\($0.string.prefix(60))\": " } ?? ""
            throw EventFault("timestamp", shown + error.reason, format == nil ? "datetime_parsing" : "datetime_format")
        }
    }

    private mutating func instant(_ value: JSONValue) throws(Timestamp.Fault) -> Int64 {
        let text: ByteString
        switch value {
        case .string(let given): text = given
        case .integer(let number):
            guard format != nil else { return try Timestamp.fromInteger(number) }
            text = ByteString(String(number))
        case .double(let number): return try Timestamp.fromNumber(number)
        default: throw Timestamp.Fault(reason: "must be text or a number, not \(value.typeName)")
        }
        let (time, hasZone) = if let format { try format.read(text.bytes) } else { try Timestamp.read(text) }
        guard !hasZone, clock != nil else { return time }
        let isDay = format?.isDay ?? (text.count == 10)
        guard let instant = isDay ? clock?.firstInstant(ofDay: time) : clock?.instant(showing: time) else {
            throw Timestamp.Fault(reason: "this time does not exist in the time zone: clocks skip it")
        }
        return instant
    }
}
