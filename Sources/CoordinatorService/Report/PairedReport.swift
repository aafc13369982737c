import FunnelModel
import FunnelStatistics

/// Two funnels over the same users. Fields: `Protocol/FUNNEL.md` section 6; formulas: `Protocol/STATISTICS.md`.
package struct PairedReport: Sendable {
    private let names: [ByteString]
    private let definitions: [FunnelDefinition]
    private let pairs: PairedCounts

    static let note = "compared over the users who entered both, each with both outcomes; a test of separate groups would be wrong"

    /// `names` and `definitions` have two entries each.
    package init(names: [ByteString], definitions: [FunnelDefinition], _ pairs: PairedCounts) {
        self.names = names
        self.definitions = definitions
        self.pairs = pairs
    }

    package var json: JSONValue {
        let heads = zip(zip(names, definitions), [pairs.first, pairs.second]).map { named, users -> JSONValue in
            .object(
                [.init("name", .string(named.0)), .init("funnel", named.1.json), .init("rules", .text(named.1.rules))]
                    + CountRows(named.1, [users.entered, users.converted]).head)
        }
        return ["funnels": .array(heads), "table": table, "paired": comparison, "note": .text(Self.note)]
    }

    private var table: JSONValue {
        func count(_ users: UInt64) -> JSONValue { .integer(Int64(users)) }
        func alone(_ users: PairedCounts.Alone) -> JSONValue {
            ["entered": count(users.entered), "converted": count(users.converted)]
        }
        return [
            "entered_both": [
                "users": count(pairs.enteredBoth), "converted_both": count(pairs.both), "converted_first_only": count(pairs.firstOnly),
                "converted_second_only": count(pairs.secondOnly), "converted_neither": count(pairs.neither),
            ],
            "entered_first_only": alone(pairs.aloneInFirst), "entered_second_only": alone(pairs.aloneInSecond),
        ]
    }

    private var comparison: JSONValue {
        let paired = PairedProportions(both: pairs.both, firstOnly: pairs.firstOnly, secondOnly: pairs.secondOnly, neither: pairs.neither)
        return [
            "difference": .number(paired?.difference), "difference_ci": VariantsReport.json(paired?.differenceInterval),
            "p_value": .number(paired?.mcNemarExact), "method": paired?.mcNemarExact == nil ? .null : "mcnemar_exact",
            "chi_square_p_value": .number(paired?.mcNemarChiSquare()),
        ]
    }
}
