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
            var staged = StagedGroup()
            for request in group { stage(request, &writer, &staged) }
            if !staged.appends.isEmpty {
                try checkReserve()
                try write(.appends(staged.appends), &writer)
                for (project, catalogue) in staged.catalogues { writer.catalogues[project] = catalogue }
                apply(staged.appends, &writer)
            }
            let stored = staged.appends.count
            let repeats = staged.repeats
            shared.withLock {
                $0.stats.appends += stored
                $0.stats.repeats += repeats
            }
            return staged.results
        }
    }

    /// Decisions on a group, before anything is written.
    private struct StagedGroup {
        struct Key: Hashable {
            var producer: UInt64
            var sequence: UInt64
            var part: UInt32
        }

        var appends: [LoggedAppend] = []
        var results: [Result<AppendResult, StoreError>] = []
        var catalogues: [UInt32: Catalogue] = [:]
        var known: [Key: (fingerprint: UInt32, result: AppendResult)] = [:]
        var repeats = 0
    }

    private func stage(_ request: AppendRequest, _ writer: inout Writer, _ staged: inout StagedGroup) {
        let key = StagedGroup.Key(producer: request.producer, sequence: request.sequence, part: request.part)
        let reused = StoreError(.sequenceReused, "other rows were stored under this producer, sequence and part; use a new sequence")
        if let known = staged.known[key] {
            guard known.fingerprint == request.fingerprint else { return staged.results.append(.failure(reused)) }
            var result = known.result
            result.repeated = true
            staged.repeats += 1
            staged.results.append(.success(result))
            return
        }
        switch writer.producers.find(
            producer: request.producer, sequence: request.sequence, part: request.part, fingerprint: request.fingerprint) {
        case .repeated(let result):
            staged.repeats += 1
            staged.results.append(.success(result))
            return
        case .reused: return staged.results.append(.failure(reused))
        case .expired(let floor):
            let message = "producer \(request.producer): sequence \(request.sequence) is below \(floor)"
            staged.results.append(.failure(StoreError(.sequenceExpired, message)))
            return
        case .new: break
        }
        do throws(StoreError) {
            let batch = try request.batch.checkedForStorage()
            var catalogue = staged.catalogues[request.project] ?? writer.catalogues[request.project] ?? Catalogue()
            var rejected = catalogue.admit(batch, options)
            staged.catalogues[request.project] = catalogue
            var accepted = batch.without(rejected)
            var ordinals = dictionary(request.project).assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
            if ordinals.contains(nil) {
                // Their buckets are full; the others' ordinals are kept.
                let refused = (0..<accepted.count).filter { ordinals[Int(accepted.user[$0])] == nil }
                let numbers = batch.rowNumbers(without: rejected)
                rejected += refused.map { RejectedRow(row: numbers[$0], code: .tooManyUsers) }
                rejected.sort { $0.row < $1.row }
                // Gathered in any case, so that its table holds no user without rows, who may have no ordinal.
                accepted = batch.gather(batch.rowNumbers(without: rejected))
                ordinals = dictionary(request.project).assign(accepted.users, usersPerBucketMax: options.usersPerBucketMax)
            }
            try checkSound(dictionary(request.project), request.project)
            staged.appends.append(
                LoggedAppend(
                    project: request.project, producer: request.producer, sequence: request.sequence,
                    part: request.part, fingerprint: request.fingerprint, rejected: rejected, batch: accepted,
                    ordinals: ordinals.compactMap { $0 }))
            let result = AppendResult(accepted: accepted.count, rejected: rejected)
            staged.known[key] = (request.fingerprint, result)
            staged.results.append(.success(result))
        } catch {
            staged.results.append(.failure(error))
        }
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
