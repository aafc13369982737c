import FunnelModel

/// A query of the coordinator to one shard: a definition, the users' buckets, and absolute times.
package struct PartialQuery: Equatable, Sendable {
    package var definition: FunnelDefinition
    /// Ascending, disjoint; the answer must cover exactly these.
    package var buckets: [Range<Int>]
    /// Microseconds; the same for every shard.
    package var asOf: Int64
    /// Times of step 1 that start an attempt, in microseconds; nil is all.
    package var entryRange: Range<Int64>?
    /// Only users who are in all of these count.
    package var cohorts: [Cohort]
    /// Whether the answer has the times between steps.
    package var times: Bool
    /// Whether the answer counts the users who dropped and can still convert.
    package var stillOpen: Bool
    /// Whether heavy users (`FUNNEL.md` section 9) are left out and counted; otherwise they are an error.
    package var leavesOutHeavy: Bool
    package var report: Report?

    package init(
        definition: FunnelDefinition, buckets: [Range<Int>], asOf: Int64, entryRange: Range<Int64>?, cohorts: [Cohort] = [],
        times: Bool, stillOpen: Bool = false, leavesOutHeavy: Bool = false, report: Report? = nil
    ) {
        self.definition = definition
        self.buckets = buckets
        self.asOf = asOf
        self.entryRange = entryRange
        self.cohorts = cohorts
        self.times = times
        self.stillOpen = stillOpen
        self.leavesOutHeavy = leavesOutHeavy
        self.report = report
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        write(to: &out)
        return out.bytes
    }

    func write(to out: inout ByteWriter) {
        out.integer(UInt8((times ? 1 : 0) | (cohorts.isEmpty ? 0 : 2) | (stillOpen ? 4 : 0) | (leavesOutHeavy ? 8 : 0)))
        out.zigzag(asOf)
        out.zigzag(entryRange?.lowerBound ?? Int64.min)
        out.zigzag(entryRange?.upperBound ?? Int64.max)
        writeBuckets(buckets, &out)
        definition.write(to: &out)
        if !cohorts.isEmpty { Cohort.write(cohorts, to: &out) }
        report.write(to: &out)
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        self = try Self.read(&reader)
        try reader.finish("partial query")
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> PartialQuery {
        let flags: UInt8 = try reader.integer("flags")
        guard flags <= 15 else { throw ByteError(offset: 0, reason: "flags \(flags)") }
        let asOf = try reader.zigzag("as_of")
        guard Limits.storableTimes.contains(asOf) else { throw ByteError(offset: 1, reason: "as_of is out of range") }
        let from = try reader.zigzag("start")
        let to = try reader.zigzag("end")
        guard from <= to else { throw ByteError(offset: reader.offset, reason: "end is before start") }
        let buckets = try readBuckets(&reader)
        let whole = from == Int64.min && to == Int64.max
        let definition = try FunnelDefinition.read(&reader)
        let cohorts = flags & 2 != 0 ? try Cohort.readList(&reader) : []
        return PartialQuery(
            definition: definition, buckets: buckets, asOf: asOf, entryRange: whole ? nil : from..<to, cohorts: cohorts,
            times: flags & 1 != 0, stillOpen: flags & 4 != 0, leavesOutHeavy: flags & 8 != 0,
            report: try Report?.read(&reader, steps: definition.steps.count))
    }
}

/// A request for one page of a shard's users who have an outcome at a step.
package struct PartialUsersQuery: Equatable, Sendable {
    package var query: PartialQuery
    /// 1-based.
    package var step: Int
    package var outcome: ListOutcome
    /// Only users of this row of a breakdown.
    package var group: UserGroup?
    package var limit: Int
    /// Only ids above this in byte order; empty is from the start.
    package var after: ByteString

    package init(
        query: PartialQuery, step: Int, outcome: ListOutcome, group: UserGroup? = nil, limit: Int, after: ByteString
    ) {
        self.query = query
        self.step = step
        self.outcome = outcome
        self.group = group
        self.limit = limit
        self.after = after
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        query.write(to: &out)
        out.varint(UInt64(step))
        outcome.write(to: &out)
        out.varint(UInt64(limit))
        out.string(after)
        group?.write(to: &out)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        query = try PartialQuery.read(&reader)
        guard query.report == nil else { throw ByteError(offset: 0, reason: "a list has no report") }
        step = try reader.count(limit: query.definition.steps.count, "step")
        guard step > 0 else { throw ByteError(offset: reader.offset, reason: "step 0") }
        outcome = try ListOutcome.read(&reader)
        limit = try reader.count(limit: Limits.userListPage + 1, "limit")
        after = try reader.string(limit: Limits.userIDBytes, "after")
        if reader.remaining > 0 { group = try UserGroup.read(&reader, steps: query.definition.steps.count) }
        try reader.finish("partial users query")
    }
}

/// Some users of a list, in byte order; an answer has as many of these frames as it needs.
package struct UserList: Equatable, Sendable {
    package static let usersPerFrame = 4_096
    package var users: [ByteString]
    /// Heavy users that were left out of the whole list; nil if they were not to be left out.
    package var heavyUsers: UInt64?

    package init(users: [ByteString], heavyUsers: UInt64? = nil) {
        self.users = users
        self.heavyUsers = heavyUsers
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.varint(UInt64(users.count))
        for user in users { out.string(user) }
        if let heavyUsers { out.varint(heavyUsers) }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        users = []
        for _ in 0..<(try reader.count(limit: Self.usersPerFrame, "users")) {
            users.append(try reader.string(limit: Limits.userIDBytes, "user id"))
        }
        if reader.remaining > 0 { heavyUsers = try PartialResult.readHeavy(&reader) }
        try reader.finish("user list")
    }
}

func writeBuckets(_ buckets: [Range<Int>], _ out: inout ByteWriter) {
    out.varint(UInt64(buckets.count))
    for range in buckets {
        out.varint(UInt64(range.lowerBound))
        out.varint(UInt64(range.upperBound))
    }
}

func readBuckets(_ reader: inout ByteReader) throws(ByteError) -> [Range<Int>] {
    var buckets: [Range<Int>] = []
    var last = 0
    for _ in 0..<(try reader.count(limit: Limits.buckets, "bucket ranges")) {
        let low = try reader.count(limit: Limits.buckets, "bucket")
        let high = try reader.count(limit: Limits.buckets, "bucket")
        guard low >= last, high > low else { throw ByteError(offset: reader.offset, reason: "bucket ranges out of order") }
        buckets.append(low..<high)
        last = high
    }
    return buckets
}
