import FunnelModel

/// `{"reached" | "dropped": {"funnel_id", "step"}}`: users by what became of them in a saved funnel.
package struct CohortRequest: Sendable {
    package var outcome: ListOutcome
    package var funnelID: ByteString
    var step: StepName
    /// Of the fields, for faults, such as `cohort.reached.`.
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

    /// - Parameter saved: the funnel of this id.
    package func cohort(of saved: FunnelDefinition) throws(InvalidDocument) -> Cohort {
        // A cohort is of users, whatever the funnel counts.
        let definition = try saved.overriding(countBy: .users, sessionGap: nil)
        let position = try step.position(in: definition, field: path + "step")
        if outcome == .dropped, let reason = definition.noDropReason(step: position) {
            throw InvalidDocument([FieldFault(path + "step", reason)])
        }
        return Cohort(definition: definition, step: position, outcome: outcome)
    }
}

/// `{"name", "where", "cohort"}`: the same query over some of its users.
package struct SegmentRequest: Sendable {
    package var name: ByteString
    /// Further conditions of step 1.
    package var filters: [Predicate]
    package var cohort: CohortRequest?

    static func readList(_ reader: inout FieldReader) -> [SegmentRequest] {
        guard let value = reader.value("segments") else { return [] }
        guard let list = value.asArray, (1...Limits.segments).contains(list.count) else {
            reader.faultAt("segments", "must be a list of 1 to \(Limits.segments) segments")
            return []
        }
        var segments: [SegmentRequest] = []
        for (i, entry) in list.enumerated() {
            var inner = FieldReader(entry, path: "\(reader.path)segments[\(i)].")
            let segment = SegmentRequest(
                name: readName(&inner, besides: segments.map(\.name)), filters: FunnelDefinition.readFilters(&inner),
                cohort: CohortRequest.read(&inner))
            if segment.filters.isEmpty, segment.cohort == nil, inner.faults.isEmpty {
                inner.faultAt("where", "or \"cohort\" is required")
            }
            inner.rejectUnknown()
            reader.merge(inner.faults)
            segments.append(segment)
        }
        return segments
    }

    /// `"name"`, which is required, and unlike the others.
    static func readName(_ reader: inout FieldReader, besides others: [ByteString]) -> ByteString {
        guard reader.value("name") != nil else {
            reader.faultAt("name", "is required")
            return ""
        }
        guard let name = reader.string("name") else { return "" }
        if !(1...Limits.segmentNameBytes).contains(name.count) {
            reader.faultAt("name", "must have 1 to \(Limits.segmentNameBytes) bytes")
        } else if others.contains(name) {
            reader.faultAt("name", "is given twice")
        }
        return name
    }

    /// The query's funnel with this segment's conditions at step 1.
    /// - Parameter field: of the conditions, for faults.
    package func narrowing(_ definition: FunnelDefinition, field: String) throws(InvalidDocument) -> FunnelDefinition {
        var definition = definition
        definition.steps[0].filters += filters
        if definition.steps[0].filters.count > Limits.filtersPerStep {
            let reason = "makes \(definition.steps[0].filters.count) conditions of step 1; it can have \(Limits.filtersPerStep)"
            throw InvalidDocument([FieldFault(field, reason)])
        }
        return definition
    }
}
