import FunnelModel
import Synchronization

extension ShardStore {
    /// Opens the directory, or creates it, and replays the logs (`SEGMENT.md`, Opening and recovery). Damage is an error, and
    /// then nothing in the directory is changed. Two exceptions: a record that a crash left unfinished at the end of the last
    /// log is cut off, and a damaged segment file makes only its own project unreadable.
    /// - Parameter progress: called with the bytes of logs read so far, and in all.
    package static func open(
        directory: String, files: Files, identity: StoreIdentity, options: StoreOptions,
        progress: (@Sendable (Int, Int) -> Void)? = nil
    ) throws(StoreError) -> ShardStore {
        guard (1...Limits.shards).contains(identity.shardCount),
            (0..<identity.shardCount).contains(identity.shard)
        else {
            throw StoreError(.invalid, "shard \(identity.shard) of \(identity.shardCount), at most \(Limits.shards)")
        }
        try io { () throws(FileError) in try files.createDirectory(directory) }
        let lock = try io { () throws(FileError) in try files.open("\(directory)/\(FileName.lock)", .append) }
        guard try io({ () throws(FileError) in try lock.lock() }) else {
            throw StoreError(.locked, "\(directory) is in use by another process")
        }
        let listing = try DirectoryListing(directory, files)
        let known = try listing.identity(directory, files)
        if let known {
            try known.identity.check(identity)
        } else if !listing.isEmpty {
            throw .corrupt(FileName.identity, offset: 0, expected: "a file", found: "none beside other files")
        }
        if known == nil { try writeIdentity(identity, directory, files) }
        let damage = DamageList(onNote: options.onNote)
        var opened = Opened(
            access: SegmentAccess(directory: directory, files: files, damage: damage, mappingsMax: options.mappingsMax))
        opened.writer.lockFile = lock
        if !listing.hasManifest { try createFirstFiles(directory, files, identity, listing) }
        let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
        let manifest = try Manifest.decode(bytes, FileOwner(identity: identity), .init(rules: options.deliveryRules, now: options.now()))
        let owner = FileOwner(identity: identity, formerClusters: manifest.formerClusters)
        try opened.take(manifest, directory: directory, files: files, owner: owner)
        let store = ShardStore(directory: directory, files: files, owner: owner, options: options, opened: opened)
        let now = try DirectoryListing(directory, files)
        try store.writer.withLock { (writer) throws(StoreError) in
            let logs = try OpenLogs(now, manifest, directory, files, owner)
            let tail = try store.replay(logs, &writer, progress)
            // A log or manifest that was read may have its name in the page cache only.
            try io { () throws(FileError) in try files.syncDirectory(directory) }
            // Before any other file of this format version, so that a program that does not know the version refuses the directory.
            if let known, known.identity != identity || known.version != StorageFormat.version {
                try writeIdentity(identity, directory, files)
            }
            for project in writer.schemas.keys { store.noteLimits(of: project, writer) }
            try store.settle(tail, manifest.stop, &writer)
            let bytes = writer.olderLogBytes + writer.logSize
            store.shared.withLock { $0.stats.logBytes = bytes }
            store.removeLeftovers(now, manifest)
        }
        if manifest.dataID == 0 { try store.replaceManifest { $0.dataID = drawDataID() } }
        return store
    }

    /// The identity of a directory; nil if it is not a shard's.
    package static func identity(directory: String, files: Files) throws(StoreError) -> StoreIdentity? {
        try DirectoryListing(directory, files).identity(directory, files)?.identity
    }

    /// The data id of a stopped shard; 0 if only release 0.1 has opened the directory, or if it is not a shard's.
    package static func dataID(directory: String, files: Files) throws(StoreError) -> UInt64 {
        guard let identity = try identity(directory: directory, files: files) else { return 0 }
        let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
        return try Manifest.decode(bytes, FileOwner(identity: identity)).dataID
    }

    static func writeIdentity(
        _ identity: StoreIdentity, _ directory: String, _ files: Files
    ) throws(StoreError) {
        try io { () throws(FileError) in
            try files.replaceAtomically(FileName.identity, in: directory, with: IdentityFile.encode(identity))
        }
    }

    private static func drawDataID() -> UInt64 { UInt64.random(in: 1...UInt64.max) }

    /// Writes the first log, then the manifest, so that a manifest implies a log.
    private static func createFirstFiles(
        _ directory: String, _ files: Files, _ identity: StoreIdentity, _ listing: DirectoryListing
    ) throws(StoreError) {
        let path = "\(directory)/\(FileName.log(1))"
        var isFresh = listing.segments.isEmpty && listing.users.isEmpty && (listing.logs.isEmpty || listing.logs == [1])
        if isFresh, listing.logs == [1] {
            let size = try io { () throws(FileError) in try files.open(path, .read).size() }
            isFresh = size <= StorageFormat.logHeaderBytes
        }
        guard isFresh else {
            throw .corrupt(FileName.manifest, offset: 0, expected: "a file", found: "none beside logs or segments")
        }
        try io { () throws(FileError) in
            _ = try files.writeDurably(LogHeader(number: 1, firstRecord: 1, identity).bytes, to: path)
            try files.syncDirectory(directory)
            try files.replaceAtomically(FileName.manifest, in: directory, with: Manifest(dataID: drawDataID()).encode(identity))
        }
    }

    /// Removes files that the manifest in force does not need: old logs, and new files of a seal or merge that did not finish.
    private func removeLeftovers(_ listing: DirectoryListing, _ manifest: Manifest) {
        var names = listing.logs.filter { $0 < manifest.firstLog }.map(FileName.log)
        let segments = Set(manifest.segments.map(\.number))
        let users = Set(manifest.userFiles.map(\.number))
        names += listing.segments.filter { !segments.contains($0) }.map(FileName.segment)
        names += listing.users.filter { !users.contains($0) }.map(FileName.users)
        names += listing.temporary
        for name in names { try? files.remove("\(directory)/\(name)") }
    }
}

extension ShardStore.Opened {
    /// Opens the files of a manifest. A damaged segment file is reported and kept apart.
    fileprivate mutating func take(
        _ manifest: Manifest, directory: String, files: Files, owner: FileOwner
    ) throws(StoreError) {
        manifestState.manifest = manifest
        manifestState.nextFile = manifest.nextFile
        writer.nextRecord = manifest.nextRecord
        writer.deliveries = manifest.deliveries
        var userFiles: [UInt32: [UserFile]] = [:]
        for record in manifest.userFiles {
            let file = try UserFile(record, directory: directory, files: files, owner: owner)
            userFiles[record.project, default: []].append(file)
        }
        func open(_ project: UInt32) {
            if shared.projects[project] == nil {
                shared.projects[project] = ShardStore.Project(UserDictionary(files: userFiles[project] ?? [], counter: users))
            }
        }
        for (project, files) in userFiles {
            open(project)
            shared.stats.count(files, by: 1)
        }
        for (project, suppressed) in manifest.suppressed {
            open(project)
            let users = shared.projects[project]?.users
            shared.projects[project]?.suppressed = Set(suppressed.compactMap { users?.find($0) })
        }
        for record in manifest.segments {
            open(record.project)
            let segment: Segment
            do throws(StoreError) {
                segment = try Segment.open(record, directory: directory, files: files, owner: owner, access)
            } catch {
                // Damage to one file must not cost other projects anything.
                guard error.code == .corrupt else { throw error }
                let file = DamagedFile(
                    name: FileName.segment(record.number), project: record.project, month: record.month, reason: error.message)
                access.damage.report(record.number, file)
                shared.projects[record.project]?.unreadable.append((record, error))
                continue
            }
            shared.projects[record.project]?.segments.append(segment)
            shared.stats.count([segment], by: 1)
            shared.projects[record.project]?.note(newest: segment.footer.newestTime)
            shared.projects[record.project]?.learn(segment.footer.runs.map(\.name))
            writer.schemas[record.project, default: ProjectSchema()].learn(segment.footer)
        }
    }
}

extension StoreIdentity {
    /// Whether a directory with this identity may be opened under `wanted`.
    fileprivate func check(_ wanted: StoreIdentity) throws(StoreError) {
        guard clusterID == wanted.clusterID else {
            throw StoreError(.foreignCluster, "the directory belongs to cluster \(idText(clusterID)), not \(idText(wanted.clusterID))")
        }
        guard shardCount == wanted.shardCount else {
            throw StoreError(.foreignLayout, "the directory is of \(shardCount) shards, not \(wanted.shardCount)")
        }
        guard shard == wanted.shard else {
            throw StoreError(.foreignShard, "the directory belongs to shard \(shard), not \(wanted.shard)")
        }
        guard epoch <= wanted.epoch else {
            throw StoreError(.olderEpoch, "epoch \(wanted.epoch) is older than the directory's \(epoch)")
        }
    }
}

/// Runs file work and turns its error into a `StoreError`.
func io<T>(_ body: () throws(FileError) -> T) throws(StoreError) -> T {
    do throws(FileError) { return try body() } catch { throw StoreError(error) }
}
