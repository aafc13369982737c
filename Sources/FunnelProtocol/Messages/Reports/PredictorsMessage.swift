import FunnelModel

extension PredictorQuestion {
    func write(to out: inout ByteWriter) {
        out.varint(UInt64(of))
        out.varint(UInt64(step))
        out.integer(UInt8(properties ? 1 : 0))
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> PredictorQuestion {
        let of = try reader.count(limit: steps, "step")
        let step = try reader.count(limit: steps, "step")
        let properties: UInt8 = try reader.integer("properties")
        guard of > 0, of < step, properties <= 1 else {
            throw ByteError(offset: reader.offset, reason: "predictors of step \(step) after \(of), properties \(properties)")
        }
        return PredictorQuestion(step: step, of: of, properties: properties == 1)
    }
}

extension PredictorCounts {
    func write(to out: inout ByteWriter) {
        whole.write(to: &out)
        out.varint(UInt64(events.count))
        // Sorted, so that the same users give the same bytes.
        for name in events.keys.sorted() {
            out.string(name)
            events[name]?.write(to: &out)
        }
        out.varint(UInt64(properties.count))
        for name in properties.keys.sorted() {
            let values = properties[name] ?? [:]
            out.string(name)
            out.varint(UInt64(values.count))
            for value in values.keys.sortedAsText() {
                value.write(to: &out)
                values[value]?.write(to: &out)
            }
        }
        out.varint(UInt64(leftOut.count))
        for name in leftOut.sorted() { out.string(name) }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> PredictorCounts {
        var counts = PredictorCounts()
        counts.whole = Users(try reader.varint("users"), converted: try reader.varint("users who converted"))
        guard counts.whole.count < 1 << 48, counts.whole.converted <= counts.whole.count else {
            throw ByteError(offset: reader.offset, reason: "users are out of range")
        }
        for _ in 0..<(try reader.count(limit: Limits.predictorFeatures, "events")) {
            let name = try reader.string(limit: Limits.eventNameBytes, "event")
            let users = try Users.read(&reader, of: counts.whole)
            guard counts.events.updateValue(users, forKey: name) == nil else { throw twice("an event", reader) }
        }
        for _ in 0..<(try reader.count(limit: Limits.predictorFeatures, "properties")) {
            let name = try reader.string(limit: Limits.propertyKeyBytes, "property")
            var values: [PropertyValue: Users] = [:]
            for _ in 0..<(try reader.count(limit: Limits.predictorValues, "values of a property")) {
                let value = try PropertyValue.read(&reader)
                let users = try Users.read(&reader, of: counts.whole)
                guard values.updateValue(users, forKey: value) == nil else { throw twice("a value", reader) }
            }
            guard counts.properties.updateValue(values, forKey: name) == nil else { throw twice("a property", reader) }
        }
        for _ in 0..<(try reader.count(limit: Limits.predictorFeatures, "properties left out")) {
            let name = try reader.string(limit: Limits.propertyKeyBytes, "property")
            guard counts.properties[name] == nil, counts.leftOut.insert(name).inserted else { throw twice("a property", reader) }
        }
        return counts
    }

    private static func twice(_ what: String, _ reader: ByteReader) -> ByteError {
        ByteError(offset: reader.offset, reason: "\(what) is given twice")
    }
}

extension PredictorCounts.Users {
    fileprivate func write(to out: inout ByteWriter) {
        out.varint(count)
        out.varint(converted)
    }

    fileprivate static func read(_ reader: inout ByteReader, of whole: Self) throws(ByteError) -> Self {
        let users = Self(try reader.varint("users"), converted: try reader.varint("users who converted"))
        guard users.count > 0, users.isPart(of: whole) else {
            throw ByteError(offset: reader.offset, reason: "users of a feature are no part of the whole")
        }
        return users
    }
}
