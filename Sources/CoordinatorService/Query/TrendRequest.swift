import FunnelModel

/// `"trend": {"by"}` of a query, and its time zone.
package struct TrendRequest: Sendable {
    package var unit: TrendUnit
    /// IANA name.
    package var zone: ByteString
    var calendar: DayCalendar

    static func read(_ reader: inout FieldReader, zone: ByteString?) -> TrendRequest? {
        guard let value = reader.value("trend") else { return nil }
        var inner = FieldReader(value, path: reader.path + "trend.")
        defer { reader.merge(inner.faults) }
        let unit: TrendUnit? = inner.choice("by")
        inner.rejectUnknown()
        if unit == nil, inner.faults.isEmpty { inner.faultAt("by", "is required: hour, day, week or month") }
        let name = zone ?? "UTC"
        guard let unit, let calendar = DayCalendar(zone: name.string) else { return nil }
        return TrendRequest(unit: unit, zone: name, calendar: calendar)
    }

    /// Whether the buckets depend on the first and last step-1 event, so that these must be asked for first.
    package static func needsSpan(_ range: Range<Int64>?) -> Bool {
        guard let range else { return true }
        return range.lowerBound == Int64.min || range.upperBound == Int64.max
    }

    /// The bounds of the buckets, clipped to the range of the query.
    /// - Parameters:
    ///   - range: step-1 times asked for; nil = all. An end at `Int64.min` or `Int64.max` is open.
    ///   - span: the first and last step-1 event; replaces an open end.
    /// - Returns: microseconds, ascending; empty if there is no bucket.
    package func bounds(_ range: Range<Int64>?, span: ClosedRange<Int64>?) throws(InvalidDocument) -> [Int64] {
        let range = range ?? Int64.min..<Int64.max
        guard let low = range.lowerBound > Int64.min ? range.lowerBound : span?.lowerBound,
            let high = range.upperBound < Int64.max ? range.upperBound : span.map({ $0.upperBound + 1 }), low < high
        else { return [] }
        guard var bounds = calendar.bounds(of: unit, covering: low..<high, limit: Limits.trendBuckets) else {
            let reason = "\"\(unit.rawValue)\" makes more than \(Limits.trendBuckets) buckets; take a longer unit or a shorter range"
            throw InvalidDocument([FieldFault("trend.by", reason)])
        }
        bounds[0] = max(bounds[0], range.lowerBound)
        bounds[bounds.count - 1] = min(bounds[bounds.count - 1], range.upperBound)
        return bounds
    }
}
