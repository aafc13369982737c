import FunnelModel

/// Counts by step, and the figures derived from them.
struct CountRows {
    let definition: FunnelDefinition
    let counts: [UInt64]

    init(_ definition: FunnelDefinition, _ counts: [UInt64]) {
        self.definition = definition
        self.counts = counts
    }

    var entered: UInt64 { counts[0] }
    var converted: UInt64 { counts[counts.count - 1] }

    func isOptional(_ i: Int) -> Bool { definition.steps[i].isOptional }

    /// The count of the nearest required step before step `i`; nil for the first.
    func previous(_ i: Int) -> UInt64? { counts.indices[..<i].last { !isOptional($0) }.map { counts[$0] } }

    /// Users of the nearest required step before who did not reach step `i`; nil for the first and for optional steps.
    func lost(_ i: Int) -> UInt64? {
        guard !isOptional(i), let previous = previous(i) else { return nil }
        return previous >= counts[i] ? previous - counts[i] : 0
    }

    /// `[low, high]`; null if attempts are counted, which are not independent of each other.
    func interval(_ part: UInt64?, of whole: UInt64?, scale: Double = 1) -> JSONValue {
        guard definition.countBy != .attempts, let part, let whole else { return .null }
        return Rate.interval(part, of: whole, scale: scale)
    }

    static func rate(_ part: UInt64?, of whole: UInt64?, scale: UInt64 = 1) -> JSONValue {
        guard let part, let whole else { return .null }
        return .number(Rate.of(scale * part, whole))
    }

    func json(_ count: UInt64?) -> JSONValue { count.map { .integer(Int64($0)) } ?? .null }

    /// The members about the whole funnel.
    var head: [JSONValue.Member] {
        [
            .init("entered", json(entered)), .init("converted", json(converted)),
            .init("conversion", Self.rate(converted, of: entered)), .init("conversion_ci", interval(converted, of: entered)),
        ]
    }

    /// Rows without intervals and times.
    var steps: JSONValue {
        .array(
            counts.indices.map { i in
                [
                    "step": .string(definition.steps[i].name), "index": .count(i + 1), "count": json(counts[i]),
                    "conversion_from_first": Self.rate(counts[i], of: entered),
                    "conversion_from_previous": Self.rate(counts[i], of: previous(i)), "dropoff": json(lost(i)),
                ]
            })
    }
}

extension FunnelDefinition {
    /// Max length of an attempt, in microseconds.
    var longestAttempt: Int64 { (anchor == .firstStep ? window : window * Int64(steps.count - 1)).count }

    /// Whether some who entered before `end` may still convert.
    func isImmature(end: Int64, asOf: Int64) -> Bool {
        let (closed, overflow) = end.addingReportingOverflow(longestAttempt)
        return overflow || closed > asOf
    }

    /// The same for a range that may be open; `newest` is the newest event, after which nobody entered.
    func isImmature(_ range: Range<Int64>?, newest: Int64?, asOf: Int64) -> Bool {
        guard let newest else { return false }
        return isImmature(end: min(range?.upperBound ?? Int64.max, newest + 1), asOf: asOf)
    }
}
