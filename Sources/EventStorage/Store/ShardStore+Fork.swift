import FunnelModel

extension ShardStore {
    /// Makes a closed directory belong to another cluster, so that a copy can be used beside its original (`SEGMENT.md`, Fork
    /// to another cluster). Other files stay as they are: the manifest lists the former cluster, whose files are accepted from
    /// then on. If the call is interrupted, the directory may open under neither cluster; the same call again finishes it.
    /// - Throws: `.locked`; `.corrupt` if the directory is not a shard's or is damaged; `.invalid` after too many forks.
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
        // Another cluster's map has epochs of its own.
        other.epoch = 0
        let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
        // It belongs to the new cluster already if an earlier call was interrupted.
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
