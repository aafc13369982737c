import FunnelModel
import Synchronization

extension ShardStore {
    /// Merges until nothing is due; with `everything`, until each month of a project is one segment file, as far as limits
    /// and damage allow.
    package func compact(everything: Bool = false) throws(StoreError) {
        try merging.withLock { (_) throws(StoreError) in while try mergeNow({ _ in }, everything: everything) {} }
    }

    /// Does one merge if one is due. An error is counted and reported, and no merge is tried before the next seal. A file
    /// that is newly found damaged does not delay the merges of other files.
    /// - Parameter isIdle: whether the store is idle, so that merges that can wait are due too.
    /// - Returns: whether more may be due: a merge was done, or was given up for a damaged file.
    package func mergeIfDue(isIdle: Bool = false, pace: @escaping (Int) -> Void = { _ in }) -> Bool {
        merging.withLock { rest in
            let now = stats
            guard now.seals >= rest.seals, !isPoisoned.load(ordering: .acquiring) else { return false }
            let changes = now.seals + now.merges + now.damagedFiles
            if let known = rest.nothingDue, known.changes == changes, known.isIdle || !isIdle { return false }
            do throws(StoreError) {
                let isDone = try mergeNow(pace, isIdle: isIdle)
                if !isDone { rest.nothingDue = (changes, isIdle) }
                return isDone
            } catch {
                shared.withLock { $0.stats.failedMerges += 1 }
                if error.code == .corrupt, access.damage.count > now.damagedFiles { return true }
                access.damage.failed(.merge, error)
                rest.seals = now.seals + 1
                return false
            }
        }
    }

    /// Does one merge of segment files or of user files; false if none is due.
    private func mergeNow(_ pace: @escaping (Int) -> Void, everything: Bool = false, isIdle: Bool = false) throws(StoreError) -> Bool {
        // A store that is closed or has failed may not replace the manifest: another process may hold the directory.
        try checkUsable()
        let projects = shared.withLock { $0.projects }
        let damaged = access.damage.files
        for (number, project) in projects.sorted(by: { $0.key < $1.key }) {
            let months = Dictionary(grouping: project.segments) { $0.record.month }
            // In a month that lacks a segment file it is unknown which files are neighbours.
            let torn = Set(project.unreadable.map(\.record.month))
            for (_, segments) in months.filter({ !torn.contains($0.key) }).sorted(by: { $0.key < $1.key }) {
                // Only neighbours are merged, and a damaged file separates its neighbours.
                for stretch in segments.split(whereSeparator: { damaged[$0.record.number] != nil }) {
                    let candidates = stretch.map { MergePlan.Candidate(weight: $0.record.rows, size: $0.record.rows) }
                    guard let due = self.due(candidates, everything: everything, isIdle: isIdle) else { continue }
                    try merge(Array(Array(stretch)[due]), number, project, pace)
                    return true
                }
            }
            for stretch in project.users.files.split(whereSeparator: { damaged[$0.record.number] != nil || !$0.isIntact }) {
                let candidates = stretch.map { MergePlan.Candidate(weight: $0.record.users, size: $0.record.bytes) }
                let limit = MergePlan.userFileBytesMax
                let due =
                    everything
                    ? MergePlan.everything(candidates, limit: limit)
                    : MergePlan.next(candidates, base: options.sealRows / 8, most: 4, limit: limit)
                guard let due else { continue }
                try mergeUsers(Array(Array(stretch)[due]), number, project, pace)
                return true
            }
        }
        return false
    }

    private func due(_ candidates: [MergePlan.Candidate], everything: Bool, isIdle: Bool) -> Range<Int>? {
        let limit = options.segmentRowsMax
        if everything { return MergePlan.everything(candidates, limit: limit) }
        return MergePlan.next(candidates, base: options.sealRows, most: options.segmentsPerMonthMax, limit: limit)
            ?? (isIdle ? MergePlan.whenIdle(candidates, limit: limit) : nil)
    }

    /// Rewrites segment files of one project and month as one file, which replaces them in the manifest and in memory.
    /// - Parameter names: event names whose rows are left out.
    func merge(
        _ old: [Segment], _ number: UInt32, _ project: Project, without names: Set<ByteString> = [],
        _ pace: @escaping (Int) -> Void = { _ in }
    ) throws(StoreError) {
        try checkSpace(old.reduce(0) { $0 + $1.record.bytes })
        var source = project
        source.segments = old
        source.memtable = Memtable()
        source.names = Set(old.flatMap { $0.footer.runs.map(\.name) }).subtracting(names).sorted()
        let view = source.view()
        let numbers = Set(old.map(\.record.number))
        let merged = try writing { (written) throws(StoreError) in
            let merged = try writeSegment(of: view, month: old[0].record.month, project: number, &written, pace).map { [$0] } ?? []
            try replaceManifest { manifest in
                let place = manifest.segments.firstIndex { numbers.contains($0.number) } ?? 0
                manifest.segments.insert(contentsOf: merged.map(\.record), at: place)
                manifest.segments.removeAll { numbers.contains($0.number) }
            }
            return merged
        }
        try urgently { [self] in
            shared.withLock { shared in
                let segments = shared.projects[number]?.segments ?? []
                let place = segments.firstIndex { numbers.contains($0.record.number) } ?? 0
                shared.projects[number]?.segments.insert(contentsOf: merged, at: place)
                shared.projects[number]?.segments.removeAll { numbers.contains($0.record.number) }
                shared.stats.count(old, by: -1)
                shared.stats.count(merged, by: 1)
                shared.stats.merges += 1
                shared.stats.mergedBytes += merged.reduce(0) { $0 + $1.record.bytes }
            }
        }
        for segment in old { segment.retire() }
    }

    private func mergeUsers(
        _ old: [UserFile], _ number: UInt32, _ project: Project, _ pace: @escaping (Int) -> Void
    ) throws(StoreError) {
        try checkSpace(old.reduce(0) { $0 + $1.record.bytes })
        let numbers = Set(old.map(\.record.number))
        let merged = try writing { (written) throws(StoreError) in
            let (ids, buckets) = try UserFileMerge.ids(of: old)
            try checkSound(project.users, number)
            let merged = try writeUsers(ids, buckets, seed: project.users.seed, number, &written, pace)
            try replaceManifest { manifest in
                let place = manifest.userFiles.firstIndex { numbers.contains($0.number) } ?? 0
                manifest.userFiles.insert(merged.record, at: place)
                manifest.userFiles.removeAll { numbers.contains($0.number) }
            }
            return merged
        }
        try urgently { [self] in
            project.users.replace(files: numbers, with: merged)
            shared.withLock { shared in
                shared.stats.count(old, by: -1)
                shared.stats.count([merged], by: 1)
            }
        }
        // A view that still reads a user file keeps its bytes or its mapping.
        for file in old { try? files.remove("\(directory)/\(FileName.users(file.record.number))") }
    }

    /// Throws `.noSpace` if a second copy of the files that are merged would use the reserve.
    private func checkSpace(_ bytes: Int) throws(StoreError) {
        guard options.reserveBytes > 0 else { return }
        let free = try io { () throws(FileError) in try files.freeBytes(directory) }
        guard free >= options.reserveBytes + UInt64(bytes) else {
            throw StoreError(
                .noSpace, "\(directory): \(free) bytes free, a merge needs \(bytes) above the reserve of \(options.reserveBytes)")
        }
    }
}
