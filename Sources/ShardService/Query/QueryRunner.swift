import FunnelMatch
import FunnelModel
import FunnelProtocol
import FunnelQuery
import ServiceRuntime

/// Answers one query: the counts, and the report with them.
struct QueryRunner: Sendable {
    let workers: QueryWorkers
    let job: QueryJob
    /// Names this shard in errors.
    let shard: Int
    /// Made by `QueryWorkers.polling`.
    let isCancelled: @Sendable () -> Bool

    /// Runs the query and returns the body of the answer.
    func run(_ query: PartialQuery, _ scan: ShardQuery, newestEvent: Int64?) async throws -> [UInt8] {
        var (result, left) = try await leavingOut(scan) { try await answer(query, $0, newestEvent: newestEvent) }
        if query.leavesOutHeavy { result.heavyUsers = UInt64(left) }
        switch result.report {
        case .breakdown?, .variants?, .paths?, .predictors?:
            let found = Handover(consume result)
            return try await alone { found.take().body }
        default: return result.body
        }
    }

    /// Runs a scan, and runs it again without the users that were too heavy, until there are none.
    /// - Returns: the result, and how many users were left out.
    private func leavingOut<T>(_ scan: ShardQuery, _ body: (ShardQuery) async throws -> T) async throws -> (T, left: Int) {
        var scan = scan
        var left = 0
        while true {
            do {
                let result = try await body(scan)
                let heavy = scan.heavy.places
                if heavy.isEmpty { return (result, left) }
                left += heavy.count
                scan = scan.without(heavy)
            } catch let heavy as HeavyUser {
                throw heavy.refusal(scan.user(at: heavy.place), shard: ClusterMap.Shard.name(shard))
            }
        }
    }

    private func answer(_ query: PartialQuery, _ scan: ShardQuery, newestEvent: Int64?) async throws -> PartialResult {
        let tally: FunnelTally
        var report: PartialResult.Report?
        switch query.report {
        case nil: tally = try await counts(query, scan)
        case .breakdown(let breakdown, let share):
            let (whole, groups) = try await groups(breakdown, share, scan, times: query.times)
            tally = whole
            report = .breakdown(groups)
        case .trend(let bounds):
            tally = try await counts(query, scan)
            report = .trend(try await trend(bounds, scan))
        case .between(let from, let to):
            let (whole, times) = try await times(from: from - 1, to: to - 1, scan)
            tally = whole
            report = .between(times)
        case .explain(let user):
            let found = try await all(1) { try scan.explain(user, isCancelled: isCancelled) }
            tally = found[0].whole
            report = .explain(found[0].explanation)
        case .entrySpan:
            tally = FunnelTally(scan.plan, times: false)
            report = .entrySpan(try await entrySpan(scan))
        case .paired(let second):
            tally = try await counts(query, scan)
            report = .paired(try await pairs(scan.paired(with: second)))
        case .variants(let split):
            let (whole, groups, several) = try await variants(split, scan, times: query.times)
            tally = whole
            report = .variants(groups, several: several)
        case .paths(let question):
            tally = FunnelTally(scan.plan, times: false)
            report = .paths(try await paths(scan.paths(question)))
        case .predictors(let question):
            tally = FunnelTally(scan.plan, times: false)
            report = .predictors(try await predictors(scan.predictors(question)))
        }
        var result = tally.finish(buckets: query.buckets, newestEvent: newestEvent)
        result.report = report
        if !query.stillOpen { result.stillOpen = nil }
        return result
    }

    /// Runs `body` on threads for `slices` slices; returns the result of each thread, at least one.
    func all<T: Sendable>(_ slices: Int, _ body: @escaping @Sendable () throws -> T) async throws -> [T] {
        try await workers.run(job, parts: slices) { try matching(body) }
    }

    /// Runs long work on a scan thread, to its end without giving way, so that it does not delay appends on the caller's thread.
    func alone<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await workers.run(QueryJob(project: job.project, isHeavy: true), body)
    }

    private func counts(_ query: PartialQuery, _ scan: ShardQuery) async throws -> FunnelTally {
        let running = scan.counting(times: query.times)
        let tallies = try await all(running.slices) { try running.run(isCancelled: isCancelled) }
        return tallies.dropFirst().reduce(into: tallies[0]) { $0.merge($1) }
    }

    /// Counts by time bucket and step.
    private func trend(_ bounds: [Int64], _ scan: ShardQuery) async throws -> [[UInt64]] {
        let running = scan.trend(bounds)
        var whole = TrendTally(buckets: bounds.count - 1, steps: scan.plan.steps)
        for tally in try await all(running.slices, { try running.run(isCancelled: isCancelled) }) { whole.merge(tally) }
        return whole.finish()
    }

    private func entrySpan(_ scan: ShardQuery) async throws -> ClosedRange<Int64>? {
        let running = scan.entrySpan()
        let found = try await all(running.slices) { try running.run(isCancelled: isCancelled) }.compactMap(\.self)
        guard let least = found.map(\.lowerBound).min(), let greatest = found.map(\.upperBound).max() else { return nil }
        return least...greatest
    }

    /// The times between two steps, as positions; `to` is the later one.
    private func times(from: Int, to: Int, _ scan: ShardQuery) async throws -> (FunnelTally, StepTimes) {
        let running = scan.times(from: from, to: to)
        let tallies = try await all(running.slices) { try running.run(isCancelled: isCancelled) }
        var (whole, times) = tallies[0]
        for tally in tallies.dropFirst() {
            whole.merge(tally.whole)
            times.merge(tally.times)
        }
        return (whole, times.finish())
    }

    private func pairs(_ running: PairedScan) async throws -> PairedCounts {
        _ = try await all(running.slices) { try running.run(isCancelled: isCancelled) }
        return running.finish()
    }

    /// The counts of all users, and by value of the property.
    private func groups(
        _ breakdown: Breakdown, _ share: GroupShare, _ scan: ShardQuery, times: Bool
    ) async throws -> (FunnelTally, ValueGroups) {
        let running = scan.breakdown(breakdown, times: times)
        do {
            let found = Handover(try await all(running.slices) { try running.run(isCancelled: isCancelled) })
            return try await alone {
                var tallies = found.take()
                var (whole, groups) = tallies.removeFirst()
                for tally in tallies {
                    whole.merge(tally.whole)
                    try groups.merge(tally.groups)
                }
                return (whole, try groups.finish(share))
            }
        } catch let error as TooManyValues {
            throw Self.tooMany(error, of: breakdown.property, at: "breakdown.property", shard)
        }
    }

    /// The counts of all users, by variant, and how many users saw several values.
    private func variants(
        _ split: VariantSplit, _ scan: ShardQuery, times: Bool
    ) async throws -> (FunnelTally, ValueGroups, several: UInt64) {
        let running = scan.variants(split, times: times)
        do {
            let found = Handover(try await all(running.slices) { try running.run(isCancelled: isCancelled) })
            return try await alone {
                var tallies = found.take()
                var (whole, groups, several) = tallies.removeFirst()
                for tally in tallies {
                    whole.merge(tally.whole)
                    try groups.merge(tally.groups)
                    several += tally.several
                }
                return (whole, try groups.finish(.leading), UInt64(several))
            }
        } catch let error as TooManyValues {
            throw Self.tooMany(error, of: split.property, at: "variants.property", shard)
        }
    }

    /// One page of user ids, and how many heavy users were left out of the whole list.
    func users(_ query: PartialUsersQuery, _ scan: ShardQuery) async throws -> (page: [ByteString], left: Int) {
        do {
            return try await leavingOut(scan) { scan in
                let running = try matching {
                    try scan.listing(query.outcome, step: query.step, group: query.group, after: query.after, limit: query.limit)
                }
                return running.merge(try await all(running.slices) { try running.run(isCancelled: isCancelled) })
            }
        } catch let error as TooManyValues {
            throw Self.tooMany(error, of: query.group?.breakdown.property ?? "", at: "group.property", shard)
        }
    }

    /// The error of a query with more distinct things than a shard can count; `what` and `advice` are parts of its text.
    func refusal(_ field: String, _ what: String, _ advice: String) -> ProtocolError {
        let name = ClusterMap.Shard.name(shard)
        let reason = "there are \(what) on \(name); \(advice)"
        return ProtocolError(.invalidQuery, "\(field): \(reason)", faults: [FieldFault(field, reason)], shards: [name])
    }

    private static func tooMany(_ error: TooManyValues, of property: ByteString, at field: String, _ shard: Int) -> ProtocolError {
        let name = ClusterMap.Shard.name(shard)
        let reason = """
            "\(property.string)" has more than \(error.values) distinct values on \(name), or more than \
            \(error.bytes >> 20) MiB of them; break down by a coarser property
            """
        return ProtocolError(.invalidQuery, "\(field): \(reason)", faults: [FieldFault(field, reason)], shards: [name])
    }
}

extension PartialQuery {
    /// What its scans read, for the estimate of their cost.
    var costKind: ScanCost.Kind {
        switch report {
        case nil, .breakdown?, .trend?, .entrySpan?, .between?: .counts
        case .paired?, .variants?: .attempts
        case .paths?, .predictors?: .timelines
        case .explain?: .oneUser
        }
    }
}
