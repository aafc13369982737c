import FunnelModel

/// `"breakdown": {"property", "touch", "k"}` of a query.
package struct BreakdownRequest: Equatable, Sendable {
    package var breakdown: Breakdown
    /// Rows shown beside the one of users without a value.
    package var rows: Int

    package init(_ breakdown: Breakdown, rows: Int) {
        self.breakdown = breakdown
        self.rows = rows
    }

    static func read(_ reader: inout FieldReader) -> BreakdownRequest? {
        guard let value = reader.value("breakdown") else { return nil }
        var inner = FieldReader(value, path: reader.path + "breakdown.")
        defer { reader.merge(inner.faults) }
        let breakdown = readBreakdown(&inner)
        let rows = inner.integer("k", in: 1...Int64(Limits.breakdownRows)) ?? 10
        inner.rejectUnknown()
        guard let breakdown, inner.faults.isEmpty else { return nil }
        return BreakdownRequest(breakdown, rows: Int(rows))
    }

    /// `property` and `touch`; nil where one of them is at fault.
    static func readBreakdown(_ inner: inout FieldReader) -> Breakdown? {
        let property = inner.string("property") ?? ""
        let touch = inner.string("touch")
        if !inner.faults.isEmpty { return nil }
        guard (1...Limits.propertyKeyBytes).contains(property.count) else {
            inner.faultAt("property", "is required: a property's name of 1 to \(Limits.propertyKeyBytes) bytes")
            return nil
        }
        guard let parsed = touch.map({ Breakdown.Touch(text: $0) }) ?? .first else {
            inner.faultAt("touch", "must be first, last or step:N with N from 1; \"\(touch?.string.prefix(40) ?? "")\" is not")
            return nil
        }
        return Breakdown(property: property, touch: parsed)
    }

    package func check(against definition: FunnelDefinition) throws(InvalidDocument) {
        try breakdown.check(against: definition, "breakdown.touch")
    }
}

extension Breakdown {
    func check(against definition: FunnelDefinition, _ field: String) throws(InvalidDocument) {
        guard case .step(let number) = touch, number > definition.steps.count else { return }
        throw InvalidDocument([FieldFault(field, "is not a step of this funnel, which has \(definition.steps.count)")])
    }
}

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

    /// Whether the first and last step-1 event must be known before the buckets can be.
    package static func needsSpan(_ range: Range<Int64>?) -> Bool {
        guard let range else { return true }
        return range.lowerBound == Int64.min || range.upperBound == Int64.max
    }

    /// The instants between the buckets, clipped to the range of the query.
    /// - Parameters:
    ///   - range: step-1 times asked for; nil, or its ends at those of the numbers, is open.
    ///   - span: the first and last step-1 event; stands in for an open end.
    /// - Returns: microseconds, ascending; empty where there is no bucket.
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
