import FunnelModel
import Synchronization

extension ShardStore {
    /// Makes a group of appends durable with one write and one sync; blocks until then. Results are in the order of the requests.
    /// - Throws: an error of the whole group, of which nothing is acknowledged. After `.noSpace` and `.tooLarge` nothing was
    ///   stored; after any other error the next opening finds out.
    package func append(_ group: [AppendRequest]) throws(StoreError) -> [Result<AppendResult, StoreError>] {
        do throws(StoreError) { return try appendNow(group) } catch {
            if error.code == .noSpace {
                shared.withLock { $0.stats.appendsRefusedForSpace += 1 }
                access.damage.failed(.append, error)
            }
            throw error
        }
    }

    private func appendNow(_ group: [AppendRequest]) throws(StoreError) -> [Result<AppendResult, StoreError>] {
        try writer.withLock { (writer) throws(StoreError) in
            try checkUsable(writer)
            var staged = StagedGroup(now: options.now())
            for request in group { stage(request, &writer, &staged) }
            if !staged.appends.isEmpty {
                try checkReserve()
                try write(.appends(staged.appends), &writer)
                for (project, schema) in staged.schemas { writer.schemas[project] = schema }
                apply(staged.appends, &writer)
                for project in staged.schemas.keys { noteLimits(of: project, writer) }
            }
            let stored = staged.appends.count
            let repeats = staged.repeats
            let (rejected, leftOut) = (staged.rejected, staged.propertiesLeftOut)
            shared.withLock {
                for (code, rows) in rejected { $0.stats.rejectedRows[code, default: 0] += rows }
                $0.stats.propertiesLeftOut += leftOut
                $0.stats.appends += stored
                $0.stats.repeats += repeats
            }
            return staged.results
        }
    }

    /// The decisions on a group, before anything is written.
    private struct StagedGroup {
        struct Key: Hashable {
            var project: UInt32
            var name: DeliveryName
        }

        /// One time for the whole group, in seconds since 1970.
        let now: UInt64
        var appends: [LoggedAppend] = []
        var results: [Result<AppendResult, StoreError>] = []
        var schemas: [UInt32: ProjectSchema] = [:]
        /// Additions of the group to the delivery memories, and their weight by project.
        var known: [Key: Delivered] = [:]
        var pending: [UInt32: Int] = [:]
        var repeats = 0
        var rejected: [RejectedRow.Code: Int] = [:]
        var propertiesLeftOut = 0
    }

    private func stage(_ request: AppendRequest, _ writer: inout Writer, _ staged: inout StagedGroup) {
        do throws(StoreError) {
            let result = try decide(request, &writer, &staged)
            if result.repeated { staged.repeats += 1 }
            staged.results.append(.success(result))
        } catch {
            staged.results.append(.failure(error))
        }
    }

    /// Decides on one request: a repeat gets its first result, other rows are staged.
    private func decide(_ request: AppendRequest, _ writer: inout Writer, _ staged: inout StagedGroup) throws(StoreError) -> AppendResult {
        if let numbers = request.numbers, numbers.count != request.batch.count {
            throw StoreError(.invalid, "\(numbers.count) row numbers for \(request.batch.count) rows")
        }
        let key = StagedGroup.Key(project: request.project, name: request.name)
        let content = Delivered(fingerprint: request.fingerprint, buckets: request.buckets)
        var known = writer.deliveries.known(request.project, request.name, namesBuckets: request.buckets != nil)
        if let known, known.buckets == nil, request.buckets != nil, request.fingerprintOfWhole?() == known.fingerprint {
            let rejected = known.rejected.map { RejectedRow(row: request.number($0.row), code: $0.code) }
            return AppendResult(accepted: request.batch.count + request.refused.count - rejected.count, rejected: rejected, repeated: true)
        }
        if let staged = staged.known[key] { known = known.map { $0.adding(staged) } ?? staged }
        let pending = staged.pending[request.project] ?? 0
        var isRepeat = false
        switch writer.deliveries.answer(request.project, request.name, content, known: known, now: staged.now, pending: pending) {
        case .known: isRepeat = true
        case .store(let buckets):
            let stored = try store(request, buckets, &writer, &staged)
            known = known.map { $0.adding(stored) } ?? stored
        case .reused:
            throw StoreError(.sequenceReused, "other rows were stored under this producer, sequence and part; use a new sequence")
        case .expired(let floor):
            throw StoreError(.sequenceExpired, "producer \(request.name.producer): sequence \(request.name.sequence) is below \(floor)")
        case .overloaded:
            throw StoreError(
                .overloaded, "project \(request.project) has more deliveries within the hour than are remembered; nothing was stored")
        }
        // The known delivery may have more buckets than the request.
        let rejected = (known?.rejected ?? []).filter { request.holds(number: $0.row) }
        return AppendResult(accepted: request.batch.count + request.refused.count - rejected.count, rejected: rejected, repeated: isRepeat)
    }

    /// Stages the rows of some buckets (nil: all rows), except those that a limit rejects.
    private func store(
        _ request: AppendRequest, _ buckets: BucketSet?, _ writer: inout Writer, _ staged: inout StagedGroup
    ) throws(StoreError) -> Delivered {
        let request = request.only(buckets)
        let checked = try request.batch.checkedForStorage()
        var schema = staged.schemas[request.project] ?? writer.schemas[request.project] ?? ProjectSchema()
        let refusal = schema.admit(checked, .init(options: options, isRateFree: request.isNameRateFree, now: staged.now))
        staged.schemas[request.project] = schema
        let batch = checked.without(keys: refusal.keys)
        var rejected = refusal.rows
        var accepted = batch.without(rejected)
        let users = dictionary(request.project)
        var ordinals = users.assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
        if ordinals.contains(nil) {
            // The buckets of these users are full; the other users keep their ordinals.
            let refused = (0..<accepted.count).filter { ordinals[Int(accepted.user[$0])] == nil }
            let numbers = batch.rowNumbers(without: rejected)
            rejected += refused.map { RejectedRow(row: numbers[$0], code: .tooManyUsers) }
            rejected.sort { $0.row < $1.row }
            // `gather` in any case: it drops users without rows, who may have no ordinal.
            accepted = batch.gather(batch.rowNumbers(without: rejected))
            ordinals = users.assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
        }
        try checkSound(users, request.project)
        for row in rejected { staged.rejected[row.code, default: 0] += 1 }
        if !refusal.keys.isEmpty {
            let sent = checked.rowNumbers(without: rejected).reduce(0) {
                $0 + Int(checked.propertyStart[$1 + 1] - checked.propertyStart[$1])
            }
            staged.propertiesLeftOut += sent - accepted.propertyKey.count
        }
        var content = Delivered(
            fingerprint: request.fingerprint, buckets: request.buckets,
            rejected: rejected.map { RejectedRow(row: request.number($0.row), code: $0.code) })
        if !request.refused.isEmpty { content.rejected = (content.rejected + request.refused.map(\.row)).sorted { $0.row < $1.row } }
        staged.appends.append(
            LoggedAppend(
                project: request.project, time: staged.now, name: request.name, isShort: request.isShort, content: content, batch: accepted,
                ordinals: ordinals.compactMap { $0 }))
        let key = StagedGroup.Key(project: request.project, name: request.name)
        staged.known[key] = staged.known[key].map { $0.adding(content) } ?? content
        staged.pending[request.project, default: 0] += content.weight
        return content
    }

    /// The project's users; adds the project if it is new.
    func dictionary(_ project: UInt32) -> UserDictionary {
        shared.withLock { shared in
            if let known = shared.projects[project] { return known.users }
            let users = UserDictionary(counter: self.users)
            shared.projects[project] = Project(users)
            return users
        }
    }

    private func checkReserve() throws(StoreError) {
        guard options.reserveBytes > 0 else { return }
        let free: UInt64
        do throws(FileError) {
            free = try files.freeBytes(directory)
        } catch {
            // Nothing was written, so the store need not stop for good.
            throw StoreError(.noSpace, "\(directory): free space is not known: \(error)")
        }
        guard free >= options.reserveBytes else {
            throw StoreError(
                .noSpace, "\(directory): \(free) bytes free, below the reserve of \(options.reserveBytes)")
        }
    }
}

extension AppendRequest {
    /// The part of the request in some buckets; nil: all of it.
    fileprivate func only(_ wanted: BucketSet?) -> AppendRequest {
        guard let wanted, wanted != buckets else { return self }
        var part = self
        let isWanted = (0..<batch.users.count).map { wanted.contains(ClusterMap.bucket(of: batch.users.hash($0))) }
        let rows = (0..<batch.count).filter { isWanted[Int(batch.user[$0])] }
        part.buckets = wanted
        part.numbers = RowNumbers(rows.map(number))
        part.refused = refused.filter { wanted.contains($0.bucket) }
        part.batch = batch.gather(rows)
        return part
    }
}

extension Delivered {
    fileprivate func adding(_ other: Delivered) -> Delivered {
        var sum = self
        sum.add(other)
        return sum
    }
}
