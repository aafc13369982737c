import FunnelModel

extension PartialQuery {
    /// The report that is requested beside the counts.
    package enum Report: Equatable, Sendable {
        case breakdown(Breakdown, GroupShare = .leading)
        /// Ascending instants in microseconds, 2 to 1,001: the counts of each entry range between two of them.
        case trend([Int64])
        /// The earliest and the latest step-1 event, and no counts.
        case entrySpan
        /// The times between two steps, 1-based.
        case between(from: Int, to: Int)
        /// An explanation of one user; the counts are of this user alone.
        case explain(user: ByteString)
        /// The same users in a second funnel.
        case paired(FunnelDefinition)
        /// The users of an experiment by variant.
        case variants(VariantSplit)
        /// What users do after a step or between two steps, and no counts.
        case paths(PathQuestion)
        /// What users did before a step, and no counts.
        case predictors(PredictorQuestion)
    }
}

extension PartialQuery.Report? {
    func write(to out: inout ByteWriter) {
        switch self {
        case nil: out.integer(ReportKind.none)
        case .breakdown(let breakdown, let share)?:
            out.integer(ReportKind.breakdown)
            breakdown.write(to: &out)
            share.write(to: &out)
        case .trend(let bounds)?:
            out.integer(ReportKind.trend)
            TrendMessage.write(bounds, to: &out)
        case .entrySpan?: out.integer(ReportKind.entrySpan)
        case .between(let from, let to)?:
            out.integer(ReportKind.between)
            out.varint(UInt64(from))
            out.varint(UInt64(to))
        case .explain(let user)?:
            out.integer(ReportKind.explain)
            out.string(user)
        case .paired(let second)?:
            out.integer(ReportKind.paired)
            second.write(to: &out)
        case .paths(let question)?:
            out.integer(ReportKind.paths)
            question.write(to: &out)
        case .predictors(let question)?:
            out.integer(ReportKind.predictors)
            question.write(to: &out)
        case .variants(let split)?:
            out.integer(ReportKind.variants)
            split.write(to: &out)
        }
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Self {
        let kind = try ReportKind.read(&reader)
        switch kind {
        case ReportKind.none: return nil
        case ReportKind.breakdown:
            let breakdown = try Breakdown.read(&reader, steps: steps)
            return .breakdown(breakdown, try GroupShare.read(&reader))
        case ReportKind.trend: return .trend(try TrendMessage.readBounds(&reader))
        case ReportKind.entrySpan: return .entrySpan
        case ReportKind.between:
            let pair = try StepTimesMessage.read(&reader, steps: steps)
            return .between(from: pair.from, to: pair.to)
        case ReportKind.explain: return .explain(user: try ExplainMessage.readUser(&reader))
        case ReportKind.paired: return .paired(try FunnelDefinition.read(&reader))
        case ReportKind.paths: return .paths(try PathQuestion.read(&reader, steps: steps))
        case ReportKind.predictors: return .predictors(try PredictorQuestion.read(&reader, steps: steps))
        case ReportKind.variants: return .variants(try VariantSplit.read(&reader, steps: steps))
        default: throw ReportKind.unknown(kind, reader)
        }
    }
}

extension PartialResult.Report? {
    /// Writes the kind and the fields.
    /// - Parameter tellsOpen: whether the result says which users can still convert.
    func write(to out: inout ByteWriter, tellsOpen: Bool) {
        switch self {
        case nil: out.integer(ReportKind.none)
        case .breakdown(let groups)?:
            out.integer(ReportKind.breakdown)
            groups.write(to: &out)
        case .trend(let buckets)?:
            out.integer(ReportKind.trend)
            TrendMessage.write(buckets, to: &out)
        case .entrySpan(let span)?:
            out.integer(ReportKind.entrySpan)
            EntrySpanMessage.write(span, to: &out)
        case .between(let times)?:
            out.integer(ReportKind.between)
            times.write(to: &out)
        case .explain(let explanation)?:
            out.integer(ReportKind.explain)
            ExplainMessage.write(explanation, to: &out, tellsOpen: tellsOpen)
        case .paired(let pairs)?:
            out.integer(ReportKind.paired)
            pairs.write(to: &out)
        case .paths(let paths)?:
            out.integer(ReportKind.paths)
            paths.write(to: &out)
        case .predictors(let counts)?:
            out.integer(ReportKind.predictors)
            counts.write(to: &out)
        case .variants(let groups, let several)?:
            out.integer(ReportKind.variants)
            out.varint(several)
            groups.write(to: &out)
        }
    }

    /// Reads the kind and the fields.
    /// - Parameters:
    ///   - counts: those of the result, to which groups must add up.
    ///   - tellsOpen: whether the result says which users can still convert.
    static func read(_ reader: inout ByteReader, counts: [UInt64], tellsOpen: Bool) throws(ByteError) -> Self {
        let kind = try ReportKind.read(&reader)
        switch kind {
        case ReportKind.none: return nil
        case ReportKind.breakdown: return .breakdown(try ValueGroups.read(&reader, counts))
        case ReportKind.trend: return .trend(try TrendMessage.readBuckets(&reader, steps: counts.count))
        case ReportKind.entrySpan: return .entrySpan(try EntrySpanMessage.read(&reader))
        case ReportKind.between: return .between(try StepTimes.read(&reader, entered: counts.first ?? 0))
        case ReportKind.explain: return .explain(try ExplainMessage.read(&reader, steps: counts.count, tellsOpen: tellsOpen))
        case ReportKind.paired: return .paired(try PairedCounts.read(&reader, counts))
        case ReportKind.paths: return .paths(try PathCounts.read(&reader))
        case ReportKind.predictors: return .predictors(try PredictorCounts.read(&reader))
        case ReportKind.variants:
            let several = try reader.varint("users who saw several values")
            guard several <= counts.first ?? 0 else {
                throw ByteError(offset: reader.offset, reason: "more users saw several values than entered")
            }
            return .variants(try ValueGroups.read(&reader, counts), several: several)
        default: throw ReportKind.unknown(kind, reader)
        }
    }
}

extension ByteReader {
    /// Reads counts by step, none above the first. After an optional step they can rise.
    mutating func counts(steps: Int) throws(ByteError) -> [UInt64] {
        var counts: [UInt64] = []
        counts.reserveCapacity(steps)
        try append(steps: steps, to: &counts)
        return counts
    }

    /// Reads the same and appends them to `counts`.
    mutating func append(steps: Int, to counts: inout [UInt64]) throws(ByteError) {
        var most: UInt64 = 1 << 48 - 1
        for step in 0..<steps {
            let count = try varint("count")
            guard count <= most else { throw ByteError(offset: offset, reason: "count \(count) is out of range") }
            if step == 0 { most = count }
            counts.append(count)
        }
    }
}
