import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/query/paths`: a query, and what paths to count.
package struct PathsRequest: Sendable {
    private enum Origin {
        case dropped(StepName)
        case between(StepName, StepName)
    }

    let query: QueryRequest
    private let origin: Origin
    private let length: Int
    private let events: PathQuestion.Events
    /// Max paths shown.
    let rows: Int

    /// Reads and checks the body; throws all faults at once. `now`, in microseconds, is the default of `as_of`.
    package static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> PathsRequest {
        var reader = FieldReader(document)
        let query = QueryRequest.readAlone(&reader, now: now)
        let origin = readOrigin(&reader)
        let length = reader.integer("length", in: 1...Int64(Limits.pathLength)) ?? 3
        let events = readEvents(&reader)
        let rows = reader.integer("k", in: 1...Int64(Limits.pathRows)) ?? 20
        reader.rejectUnknown()
        guard reader.faults.isEmpty, let origin else { throw InvalidDocument(reader.faults) }
        return PathsRequest(query: query, origin: origin, length: Int(length), events: events, rows: Int(rows))
    }

    /// Exactly one of `{"dropped": step}` and `{"between": [step, step]}`; nil with a fault.
    private static func readOrigin(_ reader: inout FieldReader) -> Origin? {
        guard let value = reader.value("from") else {
            reader.faultAt("from", "is required: {\"dropped\": step} or {\"between\": [step, step]}")
            return nil
        }
        var inner = FieldReader(value, path: reader.path + "from.")
        defer { reader.merge(inner.faults) }
        let (dropped, between) = (inner.value("dropped"), inner.value("between"))
        inner.rejectUnknown()
        if !inner.faults.isEmpty { return nil }
        switch (dropped, between) {
        case (let step?, nil):
            if let step = StepName(step) { return .dropped(step) }
            inner.faultAt("dropped", "must be a step's number from 1, or its name")
        case (nil, .array(let steps)?) where steps.count == 2:
            if let first = StepName(steps[0]), let second = StepName(steps[1]) { return .between(first, second) }
            inner.faultAt("between", "must be two steps, each a number from 1, or a name")
        case (nil, .some): inner.faultAt("between", "must be two steps, each a number from 1, or a name")
        case (.some, .some): inner.faultAt("between", "and \"dropped\" exclude each other")
        case (nil, nil): inner.faultAt("dropped", "or \"between\" is required")
        }
        return nil
    }

    private static func readEvents(_ reader: inout FieldReader) -> PathQuestion.Events {
        let only = readNames(&reader, "events")
        let except = readNames(&reader, "exclude_events")
        if only != nil, except != nil { reader.faultAt("exclude_events", "and \"events\" exclude each other") }
        return only.map { .only($0) } ?? except.map { .except($0) } ?? .all
    }

    private static func readNames(_ reader: inout FieldReader, _ key: ByteString) -> [ByteString]? {
        guard let value = reader.value(key) else { return nil }
        let names = value.asArray?.compactMap(\.asString) ?? []
        guard names.count == value.asArray?.count, (1...Limits.pathEvents).contains(names.count),
            names.allSatisfy({ (1...Limits.eventNameBytes).contains($0.count) })
        else {
            reader.faultAt(key, "must be a list of 1 to \(Limits.pathEvents) event names of 1 to \(Limits.eventNameBytes) bytes")
            return nil
        }
        return names
    }

    /// The question to shards about a funnel. Throws if the funnel does not count users or lacks the steps.
    package func question(for definition: FunnelDefinition) throws(InvalidDocument) -> PathQuestion {
        try definition.checkCountsUsers()
        switch origin {
        case .dropped(let name):
            let step = try name.position(in: definition, field: "from.dropped")
            if let reason = definition.noDropReason(step: step) { throw InvalidDocument([FieldFault("from.dropped", reason)]) }
            return PathQuestion(.dropped(step), length: length, events: events)
        case .between(let first, let second):
            let i = try first.position(in: definition, field: "from.between")
            let j = try second.position(in: definition, field: "from.between")
            guard i < j else { throw InvalidDocument([FieldFault("from.between", "must name a step and a later one")]) }
            return PathQuestion(.between(i, j), length: length, events: events)
        }
    }
}

extension QueryRequest {
    /// Reads the query of a report that comes alone: without times and without other reports.
    static func readAlone(_ reader: inout FieldReader, now: Int64) -> QueryRequest {
        var query = read(&reader, now: now)
        query.times = false
        for key in ["breakdown", "trend", "segments", "variants", "compare"] as [ByteString] where reader.value(key) != nil {
            reader.faultAt(key, "can't be used with this report")
        }
        return query
    }
}

extension FunnelDefinition {
    /// Throws unless the funnel counts users: paths and predictors have one attempt per user.
    func checkCountsUsers() throws(InvalidDocument) {
        if countBy != .users { throw InvalidDocument([FieldFault("count_by", "must be users for this report")]) }
    }
}

extension StepName {
    /// Nil if it is neither a possible number of a step nor text.
    init?(_ value: JSONValue) {
        switch value {
        case .integer(let index) where (1...Int64(Limits.stepsPerFunnel)).contains(index): self = .index(Int(index))
        case .string(let name): self = .name(name)
        default: return nil
        }
    }
}
