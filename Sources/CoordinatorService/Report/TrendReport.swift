import FunnelModel

/// The same funnel by the time of entry. Fields: `Protocol/FUNNEL.md` section 6.
package struct TrendReport: Sendable {
    private let request: TrendRequest
    private let definition: FunnelDefinition
    private let asOf: Int64
    /// The bounds of the buckets, in microseconds; empty if there is no bucket.
    private let bounds: [Int64]
    /// By bucket, users who reached each step.
    private let counts: [[UInt64]]

    package init(_ request: TrendRequest, _ definition: FunnelDefinition, asOf: Int64, bounds: [Int64], counts: [[UInt64]]) {
        self.request = request
        self.definition = definition
        self.asOf = asOf
        self.bounds = bounds
        self.counts = counts
    }

    static let note = "buckets are separate funnels and need not add up"

    package var json: JSONValue {
        [
            "by": .text(request.unit.rawValue), "time_zone": .string(request.zone), "buckets": .array(counts.indices.map(bucket)),
            "note": .text(Self.note),
        ]
    }

    private func bucket(_ i: Int) -> JSONValue {
        let counts = counts[i]
        let last = counts[counts.count - 1]
        let steps = counts.enumerated().map { step, count -> JSONValue in
            ["step": .string(definition.steps[step].name), "index": .count(step + 1), "count": .integer(Int64(count))]
        }
        return [
            "start": .text(Timestamp.format(bounds[i])), "end": .text(Timestamp.format(bounds[i + 1])),
            "immature": .bool(definition.isImmature(end: bounds[i + 1], asOf: asOf)), "entered": .integer(Int64(counts[0])),
            "converted": .integer(Int64(last)), "conversion": .number(Rate.of(last, counts[0])), "steps": .array(steps),
        ]
    }
}
