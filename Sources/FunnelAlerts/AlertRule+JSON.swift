import FunnelModel

extension AlertRule {
    /// Reads and checks a rule from the text of a JSON document. Throws `InvalidDocument` with all faults.
    package static func parse(_ text: [UInt8]) throws(InvalidDocument) -> AlertRule {
        guard text.count <= AlertLimits.documentBytes else {
            throw InvalidDocument([FieldFault("body", "has \(text.count) bytes; the limit is \(AlertLimits.documentBytes)")])
        }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parseStrictly(text, range: ByteOrderMark.length(in: text)..<text.count)
        } catch {
            throw InvalidDocument([FieldFault("body", "\(error)")])
        }
        return try parse(document)
    }

    /// The same of a document that was parsed already.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> AlertRule {
        var reader = AlertRuleReader(document)
        guard let rule = reader.read() else { throw InvalidDocument(reader.faults) }
        return rule
    }

    /// The rule with every default written out; parsing it gives an equal rule.
    package var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id)), .init("funnel_id", .string(funnelID)), .init("metric", metric.json),
        ]
        if let segment { members.append(.init("segment", ["name": .string(segment.name), "where": segment.json])) }
        if let breakdown { members.append(.init("breakdown", breakdown.json)) }
        members.append(.init("condition", .object([.init(condition.kind.member, condition.json)])))
        members.append(.init("period", .text(period.rawValue)))
        members.append(.init("time_zone", .string(timeZone)))
        if let within { members.append(.init("within", .text(within.description))) }
        members.append(.init("delay", .text(delay.description)))
        members.append(.init("for", .text(hold.description)))
        members.append(.init("keep_firing_for", .text(keepFiring.description)))
        members.append(.init("cool_down", .text(coolDown.description)))
        if let muteUntil { members.append(.init("mute_until", .text(Timestamp.format(muteUntil)))) }
        if let quietHours { members.append(.init("quiet_hours", quietHours.json)) }
        members.append(.init("grouping", .text(grouping.rawValue)))
        members.append(.init("channels", .array(channels.map { .string($0) })))
        return .object(members)
    }
}

extension AlertMetric {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = [.init("kind", .text(kind.rawValue))]
        switch step {
        case .last: break
        case .number(let number): members.append(.init("step", .count(number)))
        case .name(let name): members.append(.init("step", .string(name)))
        }
        if kind == .conversion || kind == .medianTime { members.append(.init("from", .text(start.rawValue))) }
        return .object(members)
    }
}

extension AlertBreakdown {
    fileprivate var json: JSONValue {
        ["property": .string(breakdown.property), "touch": .text(breakdown.touch.text), "k": .count(values)]
    }
}

extension AlertCondition {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = []
        switch self {
        case .threshold(let limit):
            if let above = limit.above { members.append(.init("above", .double(above))) }
            if let below = limit.below { members.append(.init("below", .double(below))) }
            members.append(.init("min_sample", .integer(Int64(clamping: limit.minSample))))
        case .change(let change):
            members = [
                .init("direction", .text(change.direction.rawValue)), .init(ByteString(change.unit.rawValue), .double(change.amount)),
            ]
            switch change.baseline {
            case .previousPeriod: members.append(.init("against", "previous_period"))
            case .sameWeekday(let weeks):
                members.append(.init("against", "same_weekday"))
                members.append(.init("weeks", .count(weeks)))
            }
            members.append(.init("min_sample", .integer(Int64(clamping: change.minSample))))
        case .significantChange(let test):
            members = [
                .init("direction", .text(test.direction.rawValue)), .init("level", .double(test.level)),
                .init("min_sample", .integer(Int64(clamping: test.minSample))), .init("min_change", .double(test.minChange)),
                .init("weeks", .count(test.weeks)),
            ]
        case .noData(let test):
            if let minSample = test.minSample {
                members.append(.init("min_sample", .integer(Int64(clamping: minSample))))
                members.append(.init("weeks", .count(test.weeks)))
            }
        }
        return .object(members)
    }
}

extension QuietHours {
    fileprivate var json: JSONValue { ["from": .text(Self.text(from)), "to": .text(Self.text(to))] }

    private static func text(_ minute: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minute / 60)):\(two(minute % 60))"
    }

    /// Minutes since 00:00 of a time such as `07:30`; nil if it is none.
    static func minute(_ text: ByteString) -> Int? {
        let parts = text.bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy { (48...57).contains($0) } }),
            let hour = Int(String(decoding: parts[0], as: UTF8.self)), let minute = Int(String(decoding: parts[1], as: UTF8.self)),
            hour < 24, minute < 60
        else { return nil }
        return hour * 60 + minute
    }
}
