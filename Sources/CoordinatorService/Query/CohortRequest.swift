import FunnelModel

/// `{"reached" | "dropped": {"funnel_id", "step"}}`: users by their outcome in a saved funnel.
package struct CohortRequest: Sendable {
    package var outcome: ListOutcome
    package var funnelID: ByteString
    var step: StepName
    /// Prefix of the field names in faults, such as `cohort.reached.`.
    var path: String

    static func read(_ reader: inout FieldReader) -> CohortRequest? {
        guard let value = reader.value("cohort") else { return nil }
        var outer = FieldReader(value, path: reader.path + "cohort.")
        defer { reader.merge(outer.faults) }
        let named = [ListOutcome.reached, .dropped].filter { outer.value(ByteString($0.rawValue)) != nil }
        outer.rejectUnknown()
        guard outer.faults.isEmpty else { return nil }
        guard named.count == 1, let inside = value[ByteString(named[0].rawValue)] else {
            outer.fault(reader.path + "cohort", "must be {\"reached\": {\"funnel_id\", \"step\"}} or the same with \"dropped\"")
            return nil
        }
        var inner = FieldReader(inside, path: "\(outer.path)\(named[0].rawValue).")
        defer { outer.merge(inner.faults) }
        let id = inner.string("funnel_id")
        if inner.value("funnel_id") == nil { inner.faultAt("funnel_id", "is required: the id of a saved funnel") }
        let step = StepName.readRequired(&inner)
        inner.rejectUnknown()
        guard inner.faults.isEmpty, let id, let step else { return nil }
        return CohortRequest(outcome: named[0], funnelID: id, step: step, path: inner.path)
    }

    /// The cohort; `saved` is the funnel with `funnelID`. Throws if the step is not in it, or users can't drop there.
    package func cohort(of saved: FunnelDefinition) throws(InvalidDocument) -> Cohort {
        // A cohort is a set of users, even if the funnel counts something else.
        let definition = try saved.overriding(countBy: .users, sessionGap: nil)
        let position = try step.position(in: definition, field: path + "step")
        if outcome == .dropped, let reason = definition.noDropReason(step: position) {
            throw InvalidDocument([FieldFault(path + "step", reason)])
        }
        return Cohort(definition: definition, step: position, outcome: outcome)
    }
}
