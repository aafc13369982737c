import FunnelModel

/// A step as queries name it: its number from 1, or its name, which means the first step of that name.
enum StepName: Sendable {
    case index(Int)
    case name(ByteString)

    /// Nil if the key is absent or at fault.
    static func read(_ reader: inout FieldReader, _ key: ByteString) -> StepName? {
        switch reader.value(key) {
        case nil: return nil
        case .integer(let index)? where (1...Int64(Limits.stepsPerFunnel)).contains(index): return .index(Int(index))
        case .string(let name)?: return .name(name)
        default: reader.faultAt(key, "must be a step's number from 1, or its name")
        }
        return nil
    }

    /// Reads `"step"`, which is required.
    static func readRequired(_ reader: inout FieldReader) -> StepName? {
        if reader.value("step") == nil { reader.faultAt("step", "is required: a step's number from 1, or its name") }
        return read(&reader, "step")
    }

    /// The step's number from 1. Throws if the funnel has no such step; `field` is its field in the fault.
    func position(in definition: FunnelDefinition, field: String) throws(InvalidDocument) -> Int {
        var found: Int?
        switch self {
        case .index(let index): found = index <= definition.steps.count ? index : nil
        case .name(let name): found = definition.steps.firstIndex { $0.name == name }.map { $0 + 1 }
        }
        guard let found else {
            throw InvalidDocument([FieldFault(field, "is not a step of this funnel, which has \(definition.steps.count)")])
        }
        return found
    }
}

extension FunnelDefinition {
    /// Why nobody can drop before a step, 1-based; nil if users can.
    func noDropReason(step: Int) -> String? {
        if step == 1 { return "nobody can drop before step 1" }
        return steps[step - 1].isOptional ? "nobody drops at an optional step" : nil
    }
}
