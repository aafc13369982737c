import FunnelModel

extension ListOutcome {
    private static let codes: [ListOutcome] = [.reached, .dropped, .converted, .open]

    func write(to out: inout ByteWriter) { out.integer(UInt8(Self.codes.firstIndex(of: self) ?? 0)) }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> ListOutcome {
        let code: UInt8 = try reader.integer("outcome")
        guard Int(code) < codes.count else { throw ByteError(offset: reader.offset, reason: "outcome \(code) is unknown") }
        return codes[Int(code)]
    }
}

extension Cohort {
    private func write(to out: inout ByteWriter) {
        definition.write(to: &out)
        out.varint(UInt64(step))
        outcome.write(to: &out)
    }

    private static func read(_ reader: inout ByteReader) throws(ByteError) -> Cohort {
        let definition = try FunnelDefinition.read(&reader)
        let step = try reader.count(limit: definition.steps.count, "step of a cohort")
        guard step > 0 else { throw ByteError(offset: reader.offset, reason: "step 0 of a cohort") }
        return Cohort(definition: definition, step: step, outcome: try ListOutcome.read(&reader))
    }

    static func write(_ cohorts: [Cohort], to out: inout ByteWriter) {
        out.varint(UInt64(cohorts.count))
        for cohort in cohorts { cohort.write(to: &out) }
    }

    static func readList(_ reader: inout ByteReader) throws(ByteError) -> [Cohort] {
        var cohorts: [Cohort] = []
        for _ in 0..<(try reader.count(limit: Limits.cohorts, "cohorts")) { cohorts.append(try read(&reader)) }
        guard !cohorts.isEmpty else { throw ByteError(offset: reader.offset, reason: "the list of cohorts is empty") }
        return cohorts
    }
}

extension FunnelDefinition {
    /// Writes the definition as JSON.
    func write(to out: inout ByteWriter) { out.string(ByteString(wireJSON.encode())) }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> FunnelDefinition {
        let text = try reader.string(limit: Limits.effectiveDefinitionBytes, "definition")
        let offset = reader.offset
        do {
            return try parse(try JSONParser.parse(text.bytes))
        } catch let error as InvalidDocument {
            let fault = error.faults.first
            throw ByteError(offset: offset, reason: "definition: \(fault?.field ?? ""): \(fault?.reason ?? "")")
        } catch {
            throw ByteError(offset: offset, reason: "definition: \(error)")
        }
    }
}
