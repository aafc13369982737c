import FunnelModel

extension AlertState {
    /// The state as it is stored. `parse` gives an equal state.
    package var json: JSONValue {
        var members: [JSONValue.Member] = []
        if let evaluated { members.append(.init("evaluated", .integer(evaluated))) }
        if origin != 0 { members.append(.init("origin", .count(Int(clamping: origin)))) }
        if let fault {
            let value: JSONValue = [
                "reason": .text(fault.reason), "since": .integer(fault.since), "is_notified": .bool(fault.isNotified),
            ]
            members.append(.init("fault", value))
        }
        let list = groups.keys.sorted().compactMap { key in groups[key].map { $0.json(key) } }
        members.append(.init("groups", .array(list)))
        return .object(members)
    }

    /// Reads a stored state. Members that a later version added are ignored.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> AlertState {
        var reader = FieldReader(document)
        var state = AlertState()
        state.evaluated = reader.integer("evaluated", in: times)
        state.origin = UInt64(clamping: reader.integer("origin", in: 0...Int64.max) ?? 0)
        if let value = reader.value("fault") {
            var inner = FieldReader(value, path: "fault.")
            let reason = inner.string("reason")
            let since = required(&inner, "since")
            state.fault = Fault(reason: reason?.string ?? "", since: since, isNotified: inner.bool("is_notified") ?? false)
            reader.merge(inner.faults)
        }
        let list = reader.value("groups")?.asArray ?? []
        if list.count > AlertLimits.stateGroups {
            reader.faultAt("groups", "has \(list.count) groups; the limit is \(AlertLimits.stateGroups)")
        } else {
            for (i, value) in list.enumerated() {
                var inner = FieldReader(value, path: "groups[\(i)].")
                let key = inner.string("group") ?? ""
                state.groups[AlertGroup(text: key)] = Group(&inner)
                reader.merge(inner.faults)
            }
        }
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return state
    }

    /// Differences of two of them cannot overflow.
    fileprivate static let times: ClosedRange<Int64> = -(1 << 60)...1 << 60

    fileprivate static func required(_ reader: inout FieldReader, _ key: ByteString) -> Int64 {
        if reader.value(key) == nil { reader.faultAt(key, "is required") }
        return reader.integer(key, in: times) ?? 0
    }
}

extension AlertState.Group {
    fileprivate func json(_ key: AlertGroup) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("group", .string(key.text)), .init("status", .text(status.rawValue)), .init("since", .integer(since)),
        ]
        for (name, time) in [("last_met", lastMet), ("notified", notified), ("ended", ended), ("last_notified", lastNotified)]
            as [(ByteString, Int64?)]
        {
            if let time { members.append(.init(name, .integer(time))) }
        }
        for (name, number) in [("value", value), ("baseline", baseline), ("p_value", pValue)] as [(ByteString, Double?)] {
            if let number { members.append(.init(name, .double(number))) }
        }
        members.append(.init("text", .text(text)))
        return .object(members)
    }

    fileprivate init(_ reader: inout FieldReader) {
        self.init(since: AlertState.required(&reader, "since"))
        let isGiven = reader.value("status") != nil
        status = reader.choice("status") ?? .ok
        if !isGiven { reader.faultAt("status", "is required") }
        lastMet = reader.integer("last_met", in: AlertState.times)
        notified = reader.integer("notified", in: AlertState.times)
        ended = reader.integer("ended", in: AlertState.times)
        lastNotified = reader.integer("last_notified", in: AlertState.times)
        value = reader.value("value")?.asDouble
        baseline = reader.value("baseline")?.asDouble
        pValue = reader.value("p_value")?.asDouble
        text = reader.string("text")?.string ?? ""
    }
}
