import FunnelModel

/// The explanation of one user's outcome.
enum ExplainMessage {
    static func readUser(_ reader: inout ByteReader) throws(ByteError) -> ByteString {
        let user = try reader.string(limit: Limits.userIDBytes, "user id")
        guard !user.isEmpty else { throw ByteError(offset: reader.offset, reason: "user id is empty") }
        return user
    }

    /// Writes an explanation; nil if the shard has no event of the user.
    /// - Parameter tellsOpen: whether `openUntil` is sent.
    static func write(_ explanation: UserExplanation?, to out: inout ByteWriter, tellsOpen: Bool) {
        out.integer(UInt8(explanation == nil ? 0 : 1))
        guard let explanation else { return }
        out.varint(UInt64(explanation.depth))
        out.varint(UInt64(explanation.chosen.count))
        for chosen in explanation.chosen {
            out.varint(UInt64(chosen.position))
            chosen.moment.write(to: &out)
            out.varint(UInt64(chosen.properties.count))
            for property in chosen.properties {
                out.string(property.key)
                property.value.canonical.write(to: &out)
            }
        }
        out.integer(UInt8(explanation.stopped == nil ? 0 : 1))
        explanation.stopped?.write(to: &out)
        out.varint(UInt64(explanation.attemptsInAll))
        out.varint(UInt64(explanation.attempts.count))
        for attempt in explanation.attempts {
            out.zigzag(attempt.time)
            out.varint(UInt64(attempt.depth))
            out.varint(attempt.took)
            out.integer(place(of: attempt.notChosen))
        }
        out.varint(UInt64(explanation.eventsInAll))
        out.varint(UInt64(explanation.events.count))
        for entry in explanation.events {
            entry.moment.write(to: &out)
            out.integer(entry.positions)
        }
        guard tellsOpen else { return }
        out.integer(UInt8(explanation.openUntil == nil ? 0 : 1))
        if let openUntil = explanation.openUntil { out.zigzag(openUntil) }
    }

    static func read(_ reader: inout ByteReader, steps: Int, tellsOpen: Bool) throws(ByteError) -> UserExplanation? {
        guard try flag(&reader, "explanation") else { return nil }
        var explanation = UserExplanation()
        explanation.depth = try reader.count(limit: steps, "depth")
        for _ in 0..<(try reader.count(limit: explanation.depth, "chosen events")) {
            explanation.chosen.append(try readChosen(&reader, steps: steps))
        }
        if try flag(&reader, "stopped") { explanation.stopped = try UserExplanation.Miss.read(&reader, steps: steps) }
        explanation.attemptsInAll = try reader.count(limit: Int(UInt32.max), "attempts in all")
        for _ in 0..<(try reader.count(limit: UserExplanation.attemptsShown, "attempts")) {
            explanation.attempts.append(
                UserExplanation.Attempt(
                    time: try readTime(&reader), depth: try reader.count(limit: steps, "depth of an attempt"),
                    took: try reader.varint("time of an attempt"), notChosen: try readCase(&reader, "why it was not chosen")))
        }
        explanation.eventsInAll = try reader.count(limit: Int(UInt32.max), "events in all")
        for _ in 0..<(try reader.count(limit: UserExplanation.eventsShown, "events")) {
            let moment = try UserExplanation.Moment.read(&reader)
            explanation.events.append(UserExplanation.Entry(moment: moment, positions: try reader.integer("positions")))
        }
        if tellsOpen, try flag(&reader, "open until") { explanation.openUntil = try readTime(&reader) }
        return explanation
    }

    private static func readChosen(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> UserExplanation.Chosen {
        let position = try reader.count(limit: steps - 1, "step of an event")
        let moment = try UserExplanation.Moment.read(&reader)
        var properties: [Event.Property] = []
        for _ in 0..<(try reader.count(limit: Limits.propertiesPerEvent, "properties")) {
            let key = try reader.string(limit: Limits.propertyKeyBytes, "property")
            properties.append(Event.Property(key, try PropertyValue.read(&reader)))
        }
        return UserExplanation.Chosen(position: position, moment: moment, properties: properties)
    }

    static func flag(_ reader: inout ByteReader, _ what: String) throws(ByteError) -> Bool {
        let value: UInt8 = try reader.integer(what)
        guard value <= 1 else { throw ByteError(offset: reader.offset, reason: "\(what): \(value)") }
        return value == 1
    }

    static func readTime(_ reader: inout ByteReader) throws(ByteError) -> Int64 {
        let time = try reader.zigzag("time")
        guard Limits.storableTimes.contains(time) else { throw ByteError(offset: reader.offset, reason: "time is out of range") }
        return time
    }

    /// A case is sent as its index in `allCases`.
    static func place<T: CaseIterable & Equatable>(of value: T) -> UInt8 {
        UInt8(T.allCases.enumerated().first { $0.element == value }?.offset ?? 0)
    }

    static func readCase<T: CaseIterable>(_ reader: inout ByteReader, _ what: String) throws(ByteError) -> T {
        let place: UInt8 = try reader.integer(what)
        guard Int(place) < T.allCases.count else { throw ByteError(offset: reader.offset, reason: "\(what): \(place) is unknown") }
        return Array(T.allCases)[Int(place)]
    }
}

extension UserExplanation.Moment {
    func write(to out: inout ByteWriter) {
        out.string(event)
        out.zigzag(time)
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> Self {
        Self(try reader.string(limit: Limits.eventNameBytes, "event"), try ExplainMessage.readTime(&reader))
    }
}

extension UserExplanation.Miss {
    func write(to out: inout ByteWriter) {
        out.varint(UInt64(position))
        out.integer(ExplainMessage.place(of: reason))
        for moment in [candidate, blocker] {
            out.integer(UInt8(moment == nil ? 0 : 1))
            moment?.write(to: &out)
        }
        out.string(property)
        out.varint(distance)
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Self {
        let position = try reader.count(limit: steps - 1, "step that was not done")
        var miss = Self(position: position, reason: try ExplainMessage.readCase(&reader, "reason"))
        if try ExplainMessage.flag(&reader, "candidate") { miss.candidate = try .read(&reader) }
        if try ExplainMessage.flag(&reader, "blocker") { miss.blocker = try .read(&reader) }
        miss.property = try reader.string(limit: Limits.propertyKeyBytes, "property")
        miss.distance = try reader.varint("distance")
        return miss
    }
}
