import FunnelModel

/// The same query over the previous period, and the changes since.
package struct PreviousPeriod: Sendable {
    private let definition: FunnelDefinition
    private let asOf: Int64
    private let range: Range<Int64>
    private let counts: [UInt64]
    private let current: [UInt64]
    private let currentEnd: Int64

    static let note = "users can be in both periods, so the difference is not tested"

    /// Compares two periods.
    /// - Parameters:
    ///   - range: step-1 times of the previous period.
    ///   - counts: by step, of that period.
    ///   - current: by step, of the period asked for, which ends at `currentEnd`.
    package init(
        _ definition: FunnelDefinition, asOf: Int64, range: Range<Int64>, counts: [UInt64], current: [UInt64], currentEnd: Int64
    ) {
        self.definition = definition
        self.asOf = asOf
        self.range = range
        self.counts = counts
        self.current = current
        self.currentEnd = currentEnd
    }

    package var members: [JSONValue.Member] {
        let before = CountRows(definition, counts)
        let period: [JSONValue.Member] = [
            .init("start", .text(Timestamp.format(range.lowerBound))), .init("end", .text(Timestamp.format(range.upperBound))),
            .init("immature", .bool(definition.isImmature(end: range.upperBound, asOf: asOf))),
        ]
        let steps = counts.indices.map { i -> JSONValue in
            [
                "step": .string(definition.steps[i].name), "index": .count(i + 1), "count": Self.difference(current[i], counts[i]),
                "conversion_from_first": rateChange(i),
            ]
        }
        return [
            .init("previous", .object(period + before.head + [.init("steps", before.steps)])),
            .init(
                "change",
                [
                    "immature": .bool(definition.isImmature(end: currentEnd, asOf: asOf)),
                    "entered": Self.difference(current[0], counts[0]),
                    "converted": Self.difference(current[counts.count - 1], before.converted),
                    "conversion": rateChange(counts.count - 1), "steps": .array(steps), "note": .text(Self.note),
                ]),
        ]
    }

    private static func difference(_ now: UInt64, _ before: UInt64) -> JSONValue { .integer(Int64(now) - Int64(before)) }

    /// The change of the conversion from step 1; null if nobody entered one of the periods.
    private func rateChange(_ i: Int) -> JSONValue {
        guard let now = Rate.of(current[i], current[0]), let before = Rate.of(counts[i], counts[0]) else { return .null }
        return .double(now - before)
    }
}
