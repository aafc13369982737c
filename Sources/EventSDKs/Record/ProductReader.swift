import EventShapes
import FunnelModel
import TimeZones

/// The products whose exports and logs have the records that their SDKs send.
package enum ExportedProduct: Sendable {
    case segment, mixpanel, amplitude, posthog

    /// Where records have the fields of an event.
    package var shape: EventShape { mapping.shape }

    /// The field of a native event as the product's endpoint names it in a fault, unless `shape` has other places for it.
    package func name(ofField field: String, _ shape: EventShape) -> String {
        self == .mixpanel && shape.user == mapping.shape.user ? Mixpanel.field(field) : shape.name(ofField: field)
    }

    fileprivate var mapping: SDKMapping {
        switch self {
        case .segment: Segment.mapping
        case .mixpanel: Mixpanel.events
        case .amplitude: Amplitude.mapping
        case .posthog: PostHog.mapping
        }
    }
}

/// Reads records of a product one by one, with the result of the product's endpoint.
package struct ProductReader: Sendable {
    private let product: ExportedProduct
    private var reader: RecordReader

    /// - Parameters:
    ///   - shape: where records have the fields of an event, in place of the product's own.
    ///   - clock: the zone of times without one; nil is UTC.
    ///   - now: the server's time in microseconds, for the range of times.
    package init(_ product: ExportedProduct, shape: EventShape, clock: LocalClock?, now: Int64) {
        self.product = product
        var mapping = product.mapping
        mapping.shape = shape
        reader = RecordReader(mapping, now: now, clock: clock)
    }

    /// Reads a record.
    /// - Throws: `EventFault`, also for a record without a time: the time of reading says nothing about it.
    package mutating func read(_ source: SourceRecord) throws(EventFault) -> SDKRecord {
        let source = try reader.parsed(source)
        let record: SDKRecord
        switch product {
        case .segment: record = try Segment.record(source, as: nil, &reader)
        case .mixpanel: record = try Mixpanel.record(source, &reader)
        case .amplitude: record = try Amplitude.record(source, &reader)
        case .posthog: record = try PostHog.record(source, &reader)
        }
        if record.isServerTimed { throw EventFault("timestamp", "field required", "missing") }
        return record
    }
}
