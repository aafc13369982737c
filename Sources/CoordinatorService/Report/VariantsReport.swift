import FunnelModel
import FunnelStatistics

/// Variants of an experiment against its control. Fields: `Protocol/FUNNEL.md` section 6; formulas: `Protocol/STATISTICS.md`.
package struct VariantsReport: Sendable {
    private let request: PropertyVariants
    private let definition: FunnelDefinition
    private let immature: Bool
    /// The control first.
    private let groups: [(value: PropertyValue, counts: [UInt64])]
    private let absent: [UInt64]
    private let several: UInt64
    private let shares: [Double]?

    static let note = """
        p_value is for one look planned beforehand, sequential_p_value for looking at any time, once outcomes are final; \
        where immature is true some users may still convert, and no test holds
        """

    /// `several` is the number of users who entered and saw several values.
    /// - Throws: `InvalidDocument` if the property has too many values, or others than were planned, or if nobody has the control.
    package init(
        _ request: PropertyVariants, _ groups: ValueGroups, several: UInt64, _ definition: FunnelDefinition, immature: Bool
    ) throws(InvalidDocument) {
        self.request = request
        self.definition = definition
        self.immature = immature
        self.several = several
        absent = groups.absent
        guard groups.count <= Limits.variants else {
            let reason = "\"\(request.split.property.string)\" has more than \(Limits.variants) values, the limit of an experiment"
            throw InvalidDocument([FieldFault("variants.property", reason)])
        }
        var values = Set(groups.values.indices.map(groups.value))
        try request.checkControl(among: values)
        // A planned variant is shown even if no user has it.
        let texts = Set(values.map(\.textBytes))
        for (value, _) in request.expected ?? [] where !texts.contains(value.bytes) { values.insert(.string(value)) }
        if let control = request.control { values.insert(control) }
        let sorted = values.sortedAsText()
        let control = request.control ?? (sorted.contains(.string("control")) ? .string("control") : sorted.first)
        let ordered = (control.map { [$0] } ?? []) + sorted.filter { $0 != control }
        shares = try Self.shares(request.expected, ordered)
        let none = Array(repeating: UInt64(0), count: groups.absent.count)
        self.groups = ordered.map { ($0, groups.counts(of: $0) ?? none) }
    }

    private static func shares(_ expected: [(value: ByteString, share: Double)]?, _ values: [PropertyValue]) throws(InvalidDocument)
        -> [Double]?
    {
        guard let expected else { return nil }
        var shares: [Double] = []
        for value in values {
            guard let share = expected.first(where: { $0.value.bytes == value.textBytes })?.share else {
                let text = String(decoding: value.textBytes.prefix(60), as: UTF8.self)
                throw InvalidDocument([FieldFault("variants.expected", "has no share for \"\(text)\"")])
            }
            shares.append(share)
        }
        guard shares.count == expected.count else {
            throw InvalidDocument([FieldFault("variants.expected", "two values of the property read the same, as 1 and \"1\" do")])
        }
        return shares
    }

    package var json: JSONValue {
        let rows = groups.map { CountRows(definition, $0.counts) }
        let proportions = rows.map { Proportion(min($0.converted, $0.entered), of: min($0.entered, Proportion.trialsMax)) }
        let known = proportions.compactMap(\.self)
        var comparisons: [VariantComparison?] = Array(repeating: nil, count: rows.count)
        var best: [Double?] = comparisons.map { _ in nil }
        if known.count == rows.count, let control = known.first {
            comparisons = [nil] + VariantComparison.all(control: control, variants: Array(known.dropFirst()))
            best = ChanceToWin.best(known)
        }
        let list = groups.indices.map { i -> JSONValue in
            .object(
                [.init("value", groups[i].value.json)] + rows[i].head + [
                    .init("steps", rows[i].steps), .init("chance_to_be_best", .number(best[i])),
                    .init("comparison", comparisons[i].map(Self.json) ?? .null),
                ])
        }
        let without = CountRows(definition, absent)
        return [
            "property": .string(request.split.property), "exposure": exposure, "touch": touch, "several_values": .integer(Int64(several)),
            "control": groups.first?.value.json ?? .null, "immature": .bool(immature), "groups": .array(list),
            "without_value": .object(without.head + [.init("steps", without.steps)]), "sample_ratio": sampleRatio,
            "note": .text(Self.note),
        ]
    }

    private var exposure: JSONValue {
        switch request.split.exposure {
        case .first: .text(PropertyVariants.Exposure.first.rawValue)
        case .attempt: .text(PropertyVariants.Exposure.attempt.rawValue)
        }
    }

    /// Null unless exposure is by attempt.
    private var touch: JSONValue {
        if case .attempt(let touch) = request.split.exposure { .text(touch.text) } else { .null }
    }

    private static func json(_ comparison: VariantComparison) -> JSONValue {
        [
            "difference": .number(comparison.difference), "difference_ci": json(comparison.differenceInterval),
            "lift": .number(comparison.lift), "lift_ci": json(comparison.liftInterval),
            "p_value": .number(comparison.pValue), "method": comparison.method.map { .text($0.rawValue) } ?? .null,
            "adjusted_p_value": .number(comparison.adjustedPValue), "sequential_p_value": .number(comparison.sequentialPValue),
            "adjusted_sequential_p_value": .number(comparison.adjustedSequentialPValue),
            "chance_to_win": .number(comparison.chanceToWin),
        ]
    }

    static func json(_ interval: Interval?) -> JSONValue { interval.map { [.double($0.low), .double($0.high)] } ?? .null }

    /// Whether users were split as planned.
    private var sampleRatio: JSONValue {
        let p = SampleRatio.pValue(users: groups.map { $0.counts[0] }, shares: shares)
        let whole = shares?.reduce(0, +) ?? Double(groups.count)
        let planned = groups.indices.map { i -> JSONValue in
            ["value": groups[i].value.json, "share": .double((shares?[i] ?? 1) / whole)]
        }
        return ["expected": .array(planned), "p_value": .number(p), "mismatch": p.map { .bool($0 < 0.0005) } ?? .null]
    }
}
