import FunnelModel
import TimeZones

/// Reads the document of one alert rule and collects its faults.
struct AlertRuleReader {
    private var reader: FieldReader
    private let isObject: Bool

    var faults: [FieldFault] { reader.faults }

    init(_ value: JSONValue) {
        reader = FieldReader(value)
        isObject = value.asObject != nil
    }

    /// The rule; nil if it has a fault.
    mutating func read() -> AlertRule? {
        // That its members are missing says nothing new.
        guard isObject else { return nil }
        let id = self.id()
        let funnelID = funnel()
        let metric = self.metric()
        let condition = self.condition(metric)
        let segment = self.segment()
        let breakdown = self.breakdown(metric, condition)
        let period: AlertPeriod? = reader.choice("period")
        let zone = self.zone()
        let within = reader.duration("within", in: AlertLimits.within, tick: 1_000_000)
        let delay = reader.duration("delay", in: AlertLimits.delay, tick: 1_000_000)
        let hold = reader.duration("for", in: AlertLimits.hold)
        let keepFiring = reader.duration("keep_firing_for", in: AlertLimits.hold)
        let coolDown = reader.duration("cool_down", in: AlertLimits.coolDown)
        let muteUntil = self.muteUntil()
        let quietHours = self.quietHours()
        let grouping: AlertGrouping? = reader.choice("grouping")
        let channels = self.channels()
        checkPeriod(period ?? .hour, condition)
        reader.rejectUnknown()
        guard reader.faults.isEmpty, let id, let funnelID, let metric, let condition else { return nil }
        var rule = AlertRule(id: id, funnelID: funnelID, metric: metric, condition: condition)
        rule.segment = segment
        rule.breakdown = breakdown
        rule.period = period ?? .hour
        rule.timeZone = zone
        rule.within = within
        rule.delay = delay ?? AlertRule.defaultDelay
        rule.hold = hold ?? 0
        rule.keepFiring = keepFiring ?? 0
        rule.coolDown = coolDown ?? 0
        rule.muteUntil = muteUntil
        rule.quietHours = quietHours
        rule.grouping = grouping ?? .each
        rule.channels = channels
        return rule
    }

    // MARK: - Whole members

    private mutating func id() -> ByteString? {
        guard reader.value("id") != nil else {
            reader.faultAt("id", "is required")
            return nil
        }
        guard let id = reader.string("id") else { return nil }
        guard id.count <= AlertLimits.ruleIDBytes, FunnelDefinition.isValidID(id) else {
            reader.faultAt("id", "must match [A-Za-z0-9_.-]{1,\(AlertLimits.ruleIDBytes)}")
            return nil
        }
        return id
    }

    private mutating func funnel() -> ByteString? {
        guard reader.value("funnel_id") != nil else {
            reader.faultAt("funnel_id", "is required: the id of a saved funnel")
            return nil
        }
        guard let id = reader.string("funnel_id") else { return nil }
        guard FunnelDefinition.isValidID(id) else {
            reader.faultAt("funnel_id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
            return nil
        }
        return id
    }

    private mutating func zone() -> ByteString {
        guard let name = reader.string("time_zone") else { return "UTC" }
        if NamedZone(name.string) == nil {
            reader.faultAt("time_zone", "\"\(name.string.prefix(60))\" is not an IANA time zone")
        }
        return name
    }

    private mutating func muteUntil() -> Int64? {
        guard let text = reader.string("mute_until") else { return nil }
        guard let read = try? Timestamp.read(text), read.hasZone, text.bytes.contains(UInt8(ascii: "-")),
            Limits.storableTimes.contains(read.time)
        else {
            reader.faultAt("mute_until", "must be an RFC 3339 instant; \"\(text.string.prefix(40))\" is not")
            return nil
        }
        return read.time
    }

    private mutating func channels() -> [ByteString] {
        guard let value = reader.value("channels") else { return [] }
        guard let list = value.asArray, list.count <= AlertLimits.channels else {
            reader.faultAt("channels", "must be a list of at most \(AlertLimits.channels) ids of channels")
            return []
        }
        var ids: [ByteString] = []
        for (i, entry) in list.enumerated() {
            let field = "channels[\(i)]"
            guard let id = entry.asString, FunnelDefinition.isValidID(id) else {
                reader.fault(field, "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
                continue
            }
            if ids.contains(id) { reader.fault(field, "is given twice") }
            ids.append(id)
        }
        return ids
    }

    private mutating func quietHours() -> QuietHours? {
        inner("quiet_hours") { inner in
            let (from, to) = (Self.minute(&inner, "from"), Self.minute(&inner, "to"))
            guard let from, let to else { return nil }
            if from == to { inner.faultAt("to", "must differ from \"from\"") }
            return QuietHours(from: from, to: to)
        }
    }

    private static func minute(_ inner: inout FieldReader, _ key: ByteString) -> Int? {
        let isGiven = inner.value(key) != nil
        guard let text = inner.string(key) else {
            if !isGiven { inner.faultAt(key, "is required: a time of day such as 22:00") }
            return nil
        }
        guard let minute = QuietHours.minute(text) else {
            inner.faultAt(key, "must be a time of day from 00:00 to 23:59; \"\(text.string.prefix(40))\" is not")
            return nil
        }
        return minute
    }

    // MARK: - Users and metric

    private mutating func metric() -> AlertMetric? {
        guard reader.value("metric") != nil else {
            reader.faultAt("metric", "is required")
            return nil
        }
        return inner("metric") { inner in
            let isGiven = inner.value("kind") != nil
            let kind: AlertMetric.Kind? = inner.choice("kind")
            if !isGiven { inner.faultAt("kind", "is required: one of \(Self.list(AlertMetric.Kind.self))") }
            let step = Self.step(&inner)
            let start: AlertMetric.Start? = inner.choice("from")
            if start != nil, kind == .count || kind == .dropOff {
                inner.faultAt("from", "is a member of conversion and median_time only")
            }
            if step == .number(1), let kind, kind != .count {
                inner.faultAt("step", "must be from 2 for \(kind.rawValue): step 1 is where users begin")
            }
            return kind.map { AlertMetric($0, step: step, from: start ?? .first) }
        }
    }

    private static func step(_ inner: inout FieldReader) -> AlertMetric.Step {
        switch inner.value("step") {
        case nil: return .last
        case .integer(let number)? where (1...Int64(Limits.stepsPerFunnel)).contains(number): return .number(Int(number))
        case .string(let name)? where !name.isEmpty && name.count <= Limits.eventNameBytes: return .name(name)
        default: inner.faultAt("step", "must be a step's number from 1 to \(Limits.stepsPerFunnel), or its name")
        }
        return .last
    }

    private mutating func segment() -> AlertSegment? {
        inner("segment") { inner in
            let isGiven = inner.value("name") != nil
            let name = inner.string("name") ?? ""
            if !isGiven {
                inner.faultAt("name", "is required")
            } else if !(1...Limits.segmentNameBytes).contains(name.count) {
                inner.faultAt("name", "must have 1 to \(Limits.segmentNameBytes) bytes")
            }
            let filters = FunnelDefinition.readFilters(&inner)
            if filters.isEmpty, inner.faults.isEmpty { inner.faultAt("where", "is required: conditions of step 1") }
            return AlertSegment(name: name, filters: filters, json: inner.value("where") ?? [])
        }
    }

    private mutating func breakdown(_ metric: AlertMetric?, _ condition: AlertCondition?) -> AlertBreakdown? {
        let breakdown: AlertBreakdown? = inner("breakdown") { inner in
            let isGiven = inner.value("property") != nil
            let property = inner.string("property") ?? ""
            if !isGiven || property.count > Limits.propertyKeyBytes || (inner.faults.isEmpty && property.isEmpty) {
                inner.faultAt("property", "is required: a property's name of 1 to \(Limits.propertyKeyBytes) bytes")
            }
            let text = inner.string("touch")
            let touch = text.map { Breakdown.Touch(text: $0) } ?? .first
            if touch == nil {
                inner.faultAt("touch", "must be first, last or step:N with N from 1; \"\(text?.string.prefix(40) ?? "")\" is not")
            }
            let values = inner.integer("k", in: 1...Int64(AlertLimits.groups)) ?? Int64(AlertLimits.groups)
            return AlertBreakdown(Breakdown(property: property, touch: touch ?? .first), values: Int(values))
        }
        guard breakdown != nil else { return nil }
        if metric?.kind == .medianTime {
            reader.faultAt("breakdown", "and median_time exclude each other: reports have no times for each value")
        }
        if case .noData(let test)? = condition, test.minSample == nil {
            reader.fault("condition.no_data.min_sample", "is required with \"breakdown\": the weeks before name the values")
        }
        return breakdown
    }

    // MARK: - Condition

    private mutating func condition(_ metric: AlertMetric?) -> AlertCondition? {
        guard let value = reader.value("condition") else {
            reader.faultAt("condition", "is required")
            return nil
        }
        let known = AlertCondition.Kind.allCases.filter { value[$0.member].map { $0 != .null } ?? false }
        return inner("condition") { inner in
            guard value.asObject != nil else { return nil }
            for kind in AlertCondition.Kind.allCases { _ = inner.value(kind.member) }
            guard known.count == 1, let document = value[known[0].member] else {
                let names = Self.list(AlertCondition.Kind.self)
                inner.fault("condition", known.isEmpty ? "must have one of \(names)" : "must have only one of \(names)")
                return nil
            }
            var members = FieldReader(document, path: "condition.\(known[0].rawValue).")
            defer { inner.merge(members.faults) }
            guard document.asObject != nil else { return nil }
            let condition = Self.read(known[0], &members, metric)
            members.rejectUnknown("member of \(known[0].rawValue)")
            return condition
        }
    }

    private static func read(_ kind: AlertCondition.Kind, _ members: inout FieldReader, _ metric: AlertMetric?) -> AlertCondition? {
        switch kind {
        case .threshold:
            let hint = limitHint(metric)
            let (above, below) = (number(&members, "above", limitRange(metric), hint), number(&members, "below", limitRange(metric), hint))
            if members.value("above") == nil, members.value("below") == nil {
                members.faultAt("below", "is required if there is no \"above\"")
            }
            if below == 0 { members.faultAt("below", "must be more than 0: nothing is below 0") }
            if above == 1, metric?.isShare == true { members.faultAt("above", "must be less than 1: no share is above 1") }
            if let above, let below, below >= above { members.faultAt("below", "must be less than \"above\"") }
            var limit = AlertCondition.Threshold(above: above, below: below)
            limit.minSample = sample(&members) ?? limit.minSample
            return .threshold(limit)
        case .change: return change(&members, metric)
        case .significantChange:
            var test = AlertCondition.Significance(members.choice("direction") ?? .any)
            test.level = number(&members, "level", AlertLimits.level) ?? test.level
            test.minSample = sample(&members) ?? test.minSample
            test.minChange = number(&members, "min_change", 0...100) ?? test.minChange
            test.weeks = weeks(&members) ?? test.weeks
            if let metric, !metric.isShare {
                let reason = "is for conversion and drop_off; \(metric.kind.rawValue) is no share of users"
                members.fault("condition.significant_change", reason)
            }
            return .significantChange(test)
        case .noData:
            var test = AlertCondition.NoData(minSample: sample(&members))
            let given = weeks(&members)
            if given != nil, members.value("min_sample") == nil { members.faultAt("weeks", "needs \"min_sample\"") }
            test.weeks = given ?? test.weeks
            if let metric, metric.kind != .count {
                members.fault("condition.no_data", "is for count, not for \(metric.kind.rawValue)")
            }
            return .noData(test)
        }
    }

    private static func change(_ members: inout FieldReader, _ metric: AlertMetric?) -> AlertCondition? {
        let direction: AlertCondition.Direction? = members.choice("direction")
        let relative = number(&members, "relative", 1e-9...1e9, "a fraction: 0.3 for 30 %; \"direction\" says up or down")
        let absolute = number(&members, "absolute", 1e-9...(metric?.isShare == true ? 1 : 1e15), limitHint(metric))
        if let relative, relative > 1, direction == .down {
            members.faultAt("relative", "must be at most 1 with direction down: nothing falls by more than 100 %; 0.3 is 30 %")
        }
        switch (members.value("relative") != nil, members.value("absolute") != nil) {
        case (false, false): members.faultAt("relative", "is required if there is no \"absolute\"")
        case (true, true): members.faultAt("absolute", "and \"relative\" exclude each other")
        default: break
        }
        let against = members.string("against")
        if let against, against != "previous_period", against != "same_weekday" {
            members.faultAt("against", "must be one of previous_period, same_weekday; \"\(against.string.prefix(40))\" is not")
        }
        let weeks = weeks(&members)
        if weeks != nil, against != "same_weekday" { members.faultAt("weeks", "needs \"against\": \"same_weekday\"") }
        guard let amount = relative ?? absolute else { return nil }
        var change = AlertCondition.Change(relative != nil ? .relative : .absolute, by: amount, direction ?? .any)
        if against == "same_weekday" { change.baseline = .sameWeekday(weeks: weeks ?? AlertCondition.defaultWeeks) }
        change.minSample = sample(&members) ?? change.minSample
        return .change(change)
    }

    /// Repeated looks at shorter periods would make false alarms more frequent than `Protocol/STATISTICS.md` promises.
    private mutating func checkPeriod(_ period: AlertPeriod, _ condition: AlertCondition?) {
        guard case .significantChange? = condition, period.length < AlertPeriod.hour.length else { return }
        reader.faultAt("period", "must be 1h or 1d with significant_change")
    }

    /// The values that a metric can have.
    private static func limitRange(_ metric: AlertMetric?) -> ClosedRange<Double> {
        metric?.isShare ?? false ? 0...1 : 0...1e15
    }

    private static func limitHint(_ metric: AlertMetric?) -> String? {
        switch metric?.kind {
        case .conversion, .dropOff: "0.2 for 20 %"
        case .medianTime: "seconds"
        case .count, nil: nil
        }
    }

    private static func sample(_ members: inout FieldReader) -> UInt64? {
        members.integer("min_sample", in: AlertLimits.sample).map { UInt64(clamping: $0) }
    }

    private static func weeks(_ members: inout FieldReader) -> Int? {
        members.integer("weeks", in: AlertLimits.weeks).map { Int($0) }
    }

    // MARK: - Helpers

    private static func number(
        _ reader: inout FieldReader, _ key: ByteString, _ range: ClosedRange<Double>, _ hint: String? = nil
    ) -> Double? {
        guard let value = reader.value(key) else { return nil }
        guard let number = value.asDouble, range.contains(number) else {
            let limits = "from \(AlertWords.plain(range.lowerBound)) to \(AlertWords.plain(range.upperBound))"
            reader.faultAt(key, "must be a number \(limits)" + (hint.map { ", \($0)" } ?? ""))
            return nil
        }
        return number
    }

    private static func list<T: RawRepresentable & CaseIterable>(_: T.Type) -> String where T.RawValue == String {
        T.allCases.map(\.rawValue).joined(separator: ", ")
    }

    /// Reads a member that is an object; nil if it is absent or has a fault.
    private mutating func inner<T>(_ key: ByteString, _ read: (inout FieldReader) -> T?) -> T? {
        guard let value = reader.value(key) else { return nil }
        var inner = FieldReader(value, path: key.string + ".")
        let result = value.asObject == nil ? nil : read(&inner)
        if value.asObject != nil { inner.rejectUnknown() }
        reader.merge(inner.faults)
        return inner.faults.isEmpty ? result : nil
    }
}
