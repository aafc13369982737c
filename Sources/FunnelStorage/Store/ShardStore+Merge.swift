import FunnelModel
import Synchronization

extension ShardStore {
    /// Merges until nothing is due; with `everything`, until each month of a project is one segment.
    package func compact(everything: Bool = false) throws(StoreError) {
        try merging.withLock { (_) throws(StoreError) in while try mergeNow({ _ in }, everything: everything) {} }
    }

    /// Does one merge if one is due. An error is counted; the next try is after another seal.
    /// - Parameter isIdle: nothing else is to do, so that merges which can wait are due too.
    /// - Returns: whether one was done, so that more may be due.
    package func mergeIfDue(isIdle: Bool = false, pace: @escaping (Int) -> Void = { _ in }) -> Bool {
        merging.withLock { rest in
            guard stats.seals >= rest.seals, writer.withLock({ $0.poison }) == nil else { return false }
            do throws(StoreError) { return try mergeNow(pace, isIdle: isIdle) } catch {
                rest.seals = stats.seals + 1
                shared.withLock { $0.stats.failedMerges += 1 }
                return false
            }
        }
    }

    /// One merge of segments, or of user files; false where none is due.
    private func mergeNow(_ pace: @escaping (Int) -> Void, everything: Bool = false, isIdle: Bool = false) throws(StoreError) -> Bool {
        // A store that is closed or has failed may no longer replace the manifest: another may hold the directory.
        try writer.withLock { (writer) throws(StoreError) in try checkUsable(writer) }
        let projects = shared.withLock { $0.projects }
        for (number, project) in projects.sorted(by: { $0.key < $1.key }) {
            for month in Set(project.segments.map(\.record.month)).sorted() {
                let candidates = project.segments.filter { $0.record.month == month }
                let weights = candidates.map(\.record.rows)
                let due = everything
                    ? (candidates.count > 1 ? candidates.indices : nil)
                    : MergePlan.next(weights, base: options.sealRows, most: options.segmentsPerMonthMax)
                        ?? (isIdle ? MergePlan.whenIdle(weights) : nil)
                guard let due else { continue }
                try merge(Array(candidates[due]), number, project, pace)
                return true
            }
            let files = project.users.files
            let due = everything
                ? (files.count > 1 ? files.indices : nil) : MergePlan.next(files.map(\.record.users), base: options.sealRows / 8, most: 4)
            if let due {
                try mergeUsers(Array(files[due]), number, project, pace)
                return true
            }
        }
        return false
    }

    private func merge(
        _ old: [Segment], _ number: UInt32, _ project: Project, _ pace: @escaping (Int) -> Void
    ) throws(StoreError) {
        try checkSpace(old.reduce(0) { $0 + $1.record.bytes })
        var source = project
        source.segments = old
        source.memtable = Memtable()
        let snapshot = source.snapshot()
        let numbers = Set(old.map(\.record.number))
        let merged = try writing { (written) throws(StoreError) in
            let merged = try writeSegments(of: snapshot, project: number, &written, pace)
            try replaceManifest { manifest in
                let place = manifest.segments.firstIndex { numbers.contains($0.number) } ?? 0
                manifest.segments.insert(contentsOf: merged.map(\.record), at: place)
                manifest.segments.removeAll { numbers.contains($0.number) }
            }
            return merged
        }
        shared.withLock { shared in
            let segments = shared.projects[number]?.segments ?? []
            let place = segments.firstIndex { numbers.contains($0.record.number) } ?? 0
            shared.projects[number]?.segments.insert(contentsOf: merged, at: place)
            shared.projects[number]?.segments.removeAll { numbers.contains($0.record.number) }
            shared.stats.merges += 1
            shared.stats.mergedBytes += merged.reduce(0) { $0 + $1.record.bytes }
        }
        for segment in old { try? files.remove("\(directory)/\(segment.name)") }
    }

    private func mergeUsers(
        _ old: [UserFile], _ number: UInt32, _ project: Project, _ pace: @escaping (Int) -> Void
    ) throws(StoreError) {
        try checkSpace(old.reduce(0) { $0 + $1.record.bytes })
        let numbers = Set(old.map(\.record.number))
        let merged = try writing { (written) throws(StoreError) in
            let (ids, buckets) = UserFileMerge.ids(of: old)
            let merged = try writeUsers(ids, buckets, seed: project.users.seed, number, &written, pace)
            try replaceManifest { manifest in
                let place = manifest.userFiles.firstIndex { numbers.contains($0.number) } ?? 0
                manifest.userFiles.insert(merged.record, at: place)
                manifest.userFiles.removeAll { numbers.contains($0.number) }
            }
            return merged
        }
        project.users.replace(files: numbers, with: merged)
        for file in old { try? files.remove("\(directory)/\(FileName.users(file.record.number))") }
    }

    /// A merge writes what it reads once more: refused, as long as that would eat into the reserve.
    private func checkSpace(_ bytes: Int) throws(StoreError) {
        guard options.reserveBytes > 0 else { return }
        let free = try io { () throws(FileError) in try files.freeBytes(directory) }
        guard free >= options.reserveBytes + UInt64(bytes) else {
            throw StoreError(.noSpace, "\(directory): \(free) bytes free, a merge needs \(bytes) above the reserve of \(options.reserveBytes)")
        }
    }
}
