import FunnelModel
import Synchronization

extension ShardStore {
    /// Makes a group of appends durable with one write and one sync; blocks until then. Results are in the order of
    /// the requests. An error of the whole means that nothing was acknowledged: after `.noSpace` and `.tooLarge` none
    /// was stored either, after any other only the next opening will tell.
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
                for (project, catalogue) in staged.catalogues { writer.catalogues[project] = catalogue }
                apply(staged.appends, &writer)
                for project in staged.catalogues.keys { noteLimits(of: project, writer) }
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

    /// Decisions on a group, before anything is written.
    private struct StagedGroup {
        struct Key: Hashable {
            var project: UInt32
            var name: DeliveryName
        }

        /// Of all of the group.
        let now: UInt64
        var appends: [LoggedAppend] = []
        var results: [Result<AppendResult, StoreError>] = []
        var catalogues: [UInt32: Catalogue] = [:]
        /// Pieces of the group by their delivery, and how many of each project.
        var known: [Key: [DeliveredPiece]] = [:]
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

    private func decide(_ request: AppendRequest, _ writer: inout Writer, _ staged: inout StagedGroup) throws(StoreError) -> AppendResult {
        guard request.pieces.reduce(0, { $0 + $1.rows }) == request.batch.count else {
            throw StoreError(.invalid, "pieces of other rows than the batch has")
        }
        let key = StagedGroup.Key(project: request.project, name: request.name)
        let pieces = request.pieces.map { DeliveredPiece(bucket: $0.bucket, cut: $0.cut, fingerprint: $0.fingerprint, accepted: 0) }
        var known = writer.deliveries.known(request.project, request.name)
        var wanted: [Int]
        switch writer.deliveries.answer(request.project, request.name, pieces, now: staged.now, pending: staged.pending[request.project] ?? 0) {
        case .store(let places): wanted = places
        case .reused: throw Self.reused
        case .expired(let floor):
            throw StoreError(.sequenceExpired, "producer \(request.name.producer): sequence \(request.name.sequence) is below \(floor)")
        case .overloaded:
            throw StoreError(.overloaded, "project \(request.project) has more deliveries within the hour than are remembered; nothing was stored")
        }
        let ofGroup = staged.known[key] ?? []
        for place in wanted {
            guard let same = ofGroup.first(where: { $0.isSamePlace(pieces[place]) }) else { continue }
            guard same.fingerprint == pieces[place].fingerprint else { throw Self.reused }
        }
        wanted.removeAll { place in ofGroup.contains { $0.isSamePlace(pieces[place]) } }
        known += ofGroup
        if !wanted.isEmpty { known += try store(request, wanted, &writer, &staged) }
        var result = AppendResult(accepted: 0, repeated: wanted.isEmpty)
        var firstRow = 0
        for (i, piece) in pieces.enumerated() {
            if let same = known.first(where: { $0.isSamePlace(piece) }) {
                result.accepted += same.accepted
                result.rejected += same.rejected.map { RejectedRow(row: firstRow + $0.row, code: $0.code) }
            }
            firstRow += request.pieces[i].rows
        }
        return result
    }

    private static var reused: StoreError {
        StoreError(.sequenceReused, "other rows were stored under this producer, sequence and part; use a new sequence")
    }

    /// Decides on the rows of some pieces, which are to be stored.
    /// - Returns: the pieces with what becomes of them.
    private func store(
        _ request: AppendRequest, _ wanted: [Int], _ writer: inout Writer, _ staged: inout StagedGroup
    ) throws(StoreError) -> [DeliveredPiece] {
        let checked = try request.batch(ofPieces: wanted).checkedForStorage()
        var catalogue = staged.catalogues[request.project] ?? writer.catalogues[request.project] ?? Catalogue()
        let refusal = catalogue.admit(checked, .init(options: options, isRateFree: request.isNameRateFree, now: staged.now))
        staged.catalogues[request.project] = catalogue
        let batch = checked.without(keys: refusal.keys)
        var rejected = refusal.rows
        var accepted = batch.without(rejected)
        let users = dictionary(request.project)
        var ordinals = users.assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
        if ordinals.contains(nil) {
            // Their buckets are full; the others' ordinals are kept.
            let refused = (0..<accepted.count).filter { ordinals[Int(accepted.user[$0])] == nil }
            let numbers = batch.rowNumbers(without: rejected)
            rejected += refused.map { RejectedRow(row: numbers[$0], code: .tooManyUsers) }
            rejected.sort { $0.row < $1.row }
            // Gathered in any case, so that its table holds no user without rows, who may have no ordinal.
            accepted = batch.gather(batch.rowNumbers(without: rejected))
            ordinals = users.assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
        }
        try checkSound(users, request.project)
        for row in rejected { staged.rejected[row.code, default: 0] += 1 }
        if !refusal.keys.isEmpty {
            let sent = checked.rowNumbers(without: rejected).reduce(0) { $0 + Int(checked.propertyStart[$1 + 1] - checked.propertyStart[$1]) }
            staged.propertiesLeftOut += sent - accepted.propertyKey.count
        }
        let pieces = request.delivered(wanted, without: rejected)
        staged.appends.append(
            LoggedAppend(
                project: request.project, time: staged.now, name: request.name, isShort: request.isShort, pieces: pieces, batch: accepted,
                ordinals: ordinals.compactMap { $0 }))
        staged.known[StagedGroup.Key(project: request.project, name: request.name), default: []] += pieces
        staged.pending[request.project, default: 0] += pieces.reduce(0) { $0 + $1.weight }
        return pieces
    }

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
            // Nothing was written, so this is no reason to stop for good.
            throw StoreError(.noSpace, "\(directory): free space is not known: \(error)")
        }
        guard free >= options.reserveBytes else {
            throw StoreError(
                .noSpace, "\(directory): \(free) bytes free, below the reserve of \(options.reserveBytes)")
        }
    }
}

extension AppendRequest {
    /// The rows of some pieces.
    fileprivate func batch(ofPieces wanted: [Int]) -> EventBatch {
        if wanted.count == pieces.count { return batch }
        let isWanted = Set(wanted)
        var rows: [Int] = []
        var first = 0
        for (i, piece) in pieces.enumerated() {
            if isWanted.contains(i) { rows += first..<(first + piece.rows) }
            first += piece.rows
        }
        return batch.gather(rows)
    }

    /// Some pieces as they are remembered.
    /// - Parameter rejected: of the rows of these pieces, ascending.
    fileprivate func delivered(_ wanted: [Int], without rejected: [RejectedRow]) -> [DeliveredPiece] {
        var rest = rejected[...]
        var first = 0
        return wanted.map { place in
            let piece = pieces[place]
            let mine = rest.prefix { $0.row < first + piece.rows }
            rest = rest.dropFirst(mine.count)
            defer { first += piece.rows }
            return DeliveredPiece(
                bucket: piece.bucket, cut: piece.cut, fingerprint: piece.fingerprint, accepted: piece.rows - mine.count,
                rejected: mine.map { RejectedRow(row: $0.row - first, code: $0.code) })
        }
    }
}
