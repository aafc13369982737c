import FunnelModel

extension ShardStore {
    /// Makes a directory that no shard has open belong to another cluster, as a copy must that is to live beside its
    /// original. Its files stay as they are: the manifest tells the former cluster, whose files are accepted from then on.
    /// Where it breaks off the directory opens under neither cluster; the same call again finishes it.
    /// - Throws: `.locked`; `.corrupt` where it is no shard's directory, or damaged; `.invalid` after too many forks.
    package static func fork(directory: String, files: Files, to clusterID: UInt64) throws(StoreError) {
        let lock = try io { () throws(FileError) in try files.open("\(directory)/\(FileName.lock)", .append) }
        guard try io({ () throws(FileError) in try lock.lock() }) else {
            throw StoreError(.locked, "\(directory) is in use by another process")
        }
        defer { withExtendedLifetime(lock) {} }
        guard let (identity, version) = try DirectoryListing(directory, files).identity(directory, files) else {
            throw .corrupt(FileName.identity, offset: 0, expected: "a file", found: "none")
        }
        if identity.clusterID == clusterID { return }
        var other = identity
        other.clusterID = clusterID
        // The map of another cluster begins to count anew.
        other.epoch = 0
        let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
        // Of the new cluster already where an earlier call broke off.
        var manifest = try Manifest.decode(bytes, FileOwner(identity: identity, formerClusters: [clusterID]))
        if !manifest.formerClusters.contains(identity.clusterID) {
            guard manifest.formerClusters.count < StorageFormat.formerClustersMax else {
                throw StoreError(
                    .invalid, "\(directory) has belonged to \(manifest.formerClusters.count) clusters; load the events into a new directory"
                )
            }
            if version != StorageFormat.version { try writeIdentity(identity, directory, files) }
            manifest.formerClusters.removeAll { $0 == clusterID }
            manifest.formerClusters.append(identity.clusterID)
            manifest.generation += 1
            try io { () throws(FileError) in
                try files.replaceAtomically(FileName.manifest, in: directory, with: manifest.encode(other))
            }
        }
        try writeIdentity(other, directory, files)
    }
}
