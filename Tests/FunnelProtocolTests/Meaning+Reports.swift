import FunnelModel
import FunnelProtocol

extension PartialQuery.Report {
    var meaning: JSONValue.Member {
        switch self {
        case .breakdown(let breakdown, let share):
            return .init(
                "breakdown", ["property": .string(breakdown.property), "touch": .text(breakdown.touch.text), "groups": share.meaning])
        case .trend(let bounds): return .init("trend", .array(bounds.map { number($0) }))
        case .entrySpan: return .init("entry_span", true)
        case .between(let from, let to): return .init("between", [number(from), number(to)])
        case .explain(let user): return .init("explain", ["user": .string(user)])
        case .paired(let second): return .init("paired", second.wireJSON)
        case .variants(let split):
            let touch: JSONValue = if case .attempt(let touch) = split.exposure { .text(touch.text) } else { .null }
            return .init("variants", ["property": .string(split.property), "touch": touch])
        case .paths(let question): return .init("paths", question.meaning)
        case .predictors(let question): return .init("predictors", question.meaning)
        }
    }

    /// Nil where the query asks for none.
    init?(meaning m: JSONValue) throws {
        if let breakdown = m["breakdown"] {
            guard let touch = Breakdown.Touch(text: try breakdown.text("touch")) else { throw MeaningError(field: "touch") }
            let share = try GroupShare(meaning: breakdown["groups"] ?? .null)
            self = .breakdown(Breakdown(property: try breakdown.text("property"), touch: touch), share)
        } else if m["trend"] != nil {
            self = .trend(try m.list("trend").map { try JSONValue.object([.init("bound", $0)]).int("bound") })
        } else if m["entry_span"] != nil {
            self = .entrySpan
        } else if m["between"] != nil {
            let steps = try m.list("between").map(\.int)
            self = .between(from: steps[0], to: steps[1])
        } else if let explain = m["explain"] {
            self = .explain(user: try explain.text("user"))
        } else if let second = m["paired"] {
            self = .paired(try FunnelDefinition.parse(second))
        } else if let variants = m["variants"] {
            let touch = variants["touch"]?.asString.flatMap { Breakdown.Touch(text: $0) }
            self = .variants(VariantSplit(property: try variants.text("property"), exposure: touch.map { .attempt($0) } ?? .first))
        } else if let paths = m["paths"] {
            self = .paths(try PathQuestion(meaning: paths))
        } else if let predictors = m["predictors"] {
            self = .predictors(try PredictorQuestion(meaning: predictors))
        } else {
            return nil
        }
    }
}

extension GroupShare {
    fileprivate var meaning: JSONValue {
        switch self {
        case .leading: "leading"
        case .all: "all"
        case .named(let values): .array(values.map(tagged))
        }
    }

    fileprivate init(meaning m: JSONValue) throws {
        switch m {
        case "leading": self = .leading
        case "all": self = .all
        default: self = .named(try (m.asArray ?? []).map(untagged))
        }
    }
}

extension PartialResult.Report {
    var meaning: JSONValue.Member {
        func list(_ counts: [UInt64]) -> JSONValue { .array(counts.map { number($0) }) }
        switch self {
        case .breakdown(let groups): return .init("breakdown", groups.meaning)
        case .variants(let groups, let several):
            return .init("variants", .object([.init("several", number(several))] + (groups.meaning.asObject ?? [])))
        case .trend(let buckets): return .init("trend", .array(buckets.map(list)))
        case .entrySpan(let span):
            return .init("entry_span", .array(span.map { [number($0.lowerBound), number($0.upperBound)] } ?? []))
        case .between(let times):
            return .init(
                "between",
                [
                    "skipped": number(times.skipped), "times": Message.json(times.times),
                    "range": .array(times.range.map { [number($0.lowerBound), number($0.upperBound)] } ?? []),
                ])
        case .explain(let explanation): return .init("explain", .array(explanation.map { [$0.meaning] } ?? []))
        case .paired(let pairs): return .init("paired", list(PairedCounts.fields.map { pairs[keyPath: $0] }))
        case .paths(let paths): return .init("paths", paths.meaning)
        case .predictors(let counts): return .init("predictors", counts.meaning)
        }
    }

    /// Nil where the result tells none.
    init?(meaning m: JSONValue) throws {
        func counts(_ list: [JSONValue]) -> [UInt64] { list.map { UInt64($0.int) } }
        if let breakdown = m["breakdown"] {
            self = .breakdown(try ValueGroups(meaning: breakdown))
        } else if let variants = m["variants"] {
            let groups = try ValueGroups(meaning: variants)
            self = .variants(groups, several: try variants.int("several"))
        } else if m["trend"] != nil {
            self = .trend(try m.list("trend").map { counts($0.asArray ?? []) })
        } else if m["entry_span"] != nil {
            let ends = try m.list("entry_span").map { Int64($0.int) }
            self = .entrySpan(ends.count == 2 ? ends[0]...ends[1] : nil)
        } else if let between = m["between"] {
            let ends = try between.list("range").map { UInt64($0.int) }
            self = .between(
                StepTimes(
                    times: try Message.summary(between["times"] ?? .null), range: ends.count == 2 ? ends[0]...ends[1] : nil,
                    skipped: try between.int("skipped")))
        } else if m["explain"] != nil {
            self = .explain(try m.list("explain").first.map { try UserExplanation(meaning: $0) })
        } else if m["paired"] != nil {
            var pairs = PairedCounts()
            for (field, count) in zip(PairedCounts.fields, counts(try m.list("paired"))) { pairs[keyPath: field] = count }
            self = .paired(pairs)
        } else if m["paths"] != nil {
            self = .paths(try PathCounts(meaning: try m.list("paths")))
        } else if let predictors = m["predictors"] {
            self = .predictors(try PredictorCounts(meaning: predictors))
        } else {
            return nil
        }
    }
}

extension Cohort {
    var meaning: JSONValue { ["definition": definition.wireJSON, "step": number(step), "outcome": .text(outcome.rawValue)] }

    init(meaning m: JSONValue) throws {
        guard let outcome = ListOutcome(rawValue: try m.text("outcome").string) else { throw MeaningError(field: "outcome") }
        self.init(definition: try FunnelDefinition.parse(m["definition"] ?? .null), step: try m.int("step"), outcome: outcome)
    }
}

extension ValueGroups {
    fileprivate var meaning: JSONValue {
        func list(_ counts: [UInt64]) -> JSONValue { .array(counts.map { number($0) }) }
        let rows = (0..<count).map { i -> JSONValue in ["value": tagged(value(at: i)), "counts": list(counts(at: i))] }
        let left: JSONValue = untold.values == 0 ? [] : [number(untold.values), number(untold.users)]
        return ["absent": list(absent), "groups": .array(rows), "left_out": left]
    }

    fileprivate init(meaning m: JSONValue) throws {
        func list(_ counts: [JSONValue]) -> [UInt64] { counts.map { UInt64($0.int) } }
        let rows = try m.list("groups")
        let values = ValueTable(try rows.map { try untagged($0["value"] ?? .null) })
        self.init(absent: list(try m.list("absent")), values, counts: try rows.flatMap { list(try $0.list("counts")) })
        let left = try m.list("left_out")
        if left.count == 2 { leaveOut(values: left[0].int, users: UInt64(left[1].int)) }
    }
}
