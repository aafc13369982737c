import FunnelModel

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

    /// Reads `"name"`, which is required and must differ from `others`.
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
    /// - Parameter field: name of the conditions' field in faults.
    package func narrowing(_ definition: FunnelDefinition, field: String) throws(InvalidDocument) -> FunnelDefinition {
        var definition = definition
        definition.steps[0].filters += filters
        if definition.steps[0].filters.count > Limits.filtersPerStep {
            let reason = "makes \(definition.steps[0].filters.count) conditions of step 1; the limit is \(Limits.filtersPerStep)"
            throw InvalidDocument([FieldFault(field, reason)])
        }
        return definition
    }
}
