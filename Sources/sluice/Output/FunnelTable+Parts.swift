import FunnelModel

/// Segments, the period before, and variants.
extension FunnelTable {
    var segmentLines: [String] {
        guard let segments = report["segments"]?.asArray else { return [] }
        return ["", part("segment", "entered", "converted", "of first")] + segments.map { part(Self.text($0["name"]), $0) }
            + [Self.text(report["segments_note"])]
    }

    var comparisonLines: [String] {
        guard let previous = report["previous"], let change = report["change"] else { return [] }
        let rate = change["conversion"]?.asDouble.map { Self.signed($0 * 100) + " pt" } ?? "–"
        let line = part("change", Self.signed(change["entered"]), Self.signed(change["converted"]), rate)
        return [
            "", part("period", "entered", "converted", "of first"),
            part("from \(Self.text(previous["start"]))", previous), part("the one asked for", report),
            line + (change["immature"] == true ? "  still open" : ""), Self.text(change["note"]),
        ]
    }

    var variantLines: [String] {
        guard let variants = report["variants"] else { return [] }
        return variants["funnels"] == nil ? experimentLines(variants) : pairedLines(variants)
    }

    private func experimentLines(_ variants: JSONValue) -> [String] {
        let groups = variants["groups"]?.asArray ?? []
        func more(_ cells: [String]) -> String { cells.map { " " + padLeft($0, 9) }.joined() }
        var lines = [
            "", part(Self.text(variants["property"]), "entered", "converted", "of first") + more(["lift", "p", "any look", "best"]),
        ]
        lines += groups.map { group in
            let comparison = group["comparison"]
            let lift = comparison?["lift"]?.asDouble.map { Self.signed($0 * 100) + " %" } ?? ""
            let cells = [
                lift, Self.probability(comparison?["adjusted_p_value"]), Self.probability(comparison?["adjusted_sequential_p_value"]),
                group["chance_to_be_best"]?.asDouble.map { "\(Self.decimal($0 * 100)) %" } ?? "",
            ]
            return part(ValueText.row(group["value"]), group) + more(cells)
        }
        lines.append(part("(none)", variants["without_value"] ?? .null))
        if let several = variants["several_values"]?.asInteger, several > 0 {
            let rule = variants["exposure"] == "first" ? "the first one seen" : "that of the attempt counted"
            let users = several == 1 ? "1 user saw several values; it" : "\(Terminal.number(Int(several))) users saw several values; each"
            lines.append("\(users) counts for \(rule)")
        }
        let ratio = variants["sample_ratio"]
        if ratio?["mismatch"] == true {
            lines.append("users were not split as planned (p \(Self.probability(ratio?["p_value"]))): believe none of these numbers")
        }
        if variants["immature"] == true { lines.append("some users may still convert: no test holds yet") }
        return lines
    }

    private func pairedLines(_ variants: JSONValue) -> [String] {
        let paired = variants["paired"]
        let both = variants["table"]?["entered_both"]
        let difference = paired?["difference"]?.asDouble.map { Self.signed($0 * 100) + " pt" } ?? "–"
        return ["", part("funnel", "entered", "converted", "of first")]
            + (variants["funnels"]?.asArray ?? []).map { part(Self.text($0["name"]), $0) } + [
                "of \(Self.text(both?["users"])) users who entered both: second less first \(difference), p \(Self.probability(paired?["p_value"]))"
            ]
    }

    static func signed(_ value: Double) -> String { (value > 0 ? "+" : "") + decimal(value) }

    private static func signed(_ value: JSONValue?) -> String {
        let number = Int(value?.asInteger ?? 0)
        return (number > 0 ? "+" : "") + Terminal.number(number)
    }

    /// Three digits behind the point.
    private static func probability(_ value: JSONValue?) -> String {
        guard let p = value?.asDouble else { return "" }
        let thousandths = Int((p * 1_000).rounded())
        if thousandths == 0 { return "<0.001" }
        let digits = String(thousandths % 1_000)
        return "\(thousandths / 1_000)." + String(repeating: "0", count: 3 - digits.count) + digits
    }
}
