import FunnelModel

/// One query of the rules: rules with the same question share its answer.
package struct AlertQuestion: Hashable, Sendable {
    /// The definition that is asked, as JSON: with the conditions of the rule's segment, and windows bounded by its `within`.
    package let funnel: ByteString
    /// Nil: no breakdown.
    package let property: ByteString?
    package let touch: String
    /// Times of step 1, half-open, in microseconds since 1970.
    package let period: Range<Int64>
    package let needsTimes: Bool

    /// The body of `POST /v1/query`.
    ///
    /// It asks for as many values as any rule can have, so that rules with different `k` share it, and leaves out users who are too
    /// heavy, since one such user must not stop an alert.
    package var body: [UInt8] {
        var members: [JSONValue.Member] = [
            .init("start", .text(Timestamp.format(period.lowerBound))), .init("end", .text(Timestamp.format(period.upperBound))),
            .init("times", needsTimes ? "summary" : "none"), .init("heavy_users", "leave_out"),
        ]
        if let property {
            let breakdown: JSONValue = ["property": .string(property), "touch": .text(touch), "k": .count(AlertLimits.groups)]
            members.append(.init("breakdown", breakdown))
        }
        return Array(#"{"funnel":"#.utf8) + funnel.bytes + [UInt8(ascii: ",")] + JSONValue.object(members).encode().dropFirst()
    }
}
