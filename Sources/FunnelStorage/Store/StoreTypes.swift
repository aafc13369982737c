import FunnelModel

/// Whose data a directory holds. Everything but the epoch is fixed for the life of the directory.
package struct StoreIdentity: Equatable, Sendable {
    package var clusterID: UInt64
    package var shard: Int
    package var shardCount: Int
    package var epoch: UInt32

    package init(clusterID: UInt64, shard: Int, shardCount: Int, epoch: UInt32) {
        self.clusterID = clusterID
        self.shard = shard
        self.shardCount = shardCount
        self.epoch = epoch
    }
}

/// What an operator may set.
package struct StoreOptions: Sendable {
    /// Rows in memory at which they are sealed into segments.
    package var sealRows = 500_000
    /// Bytes in memory at which they are sealed into segments.
    package var sealBytes = 64 << 20
    /// Appends are refused while the device has less free than this; 0 is no reserve.
    package var reserveBytes: UInt64 = 0
    package var eventNamesMax = Limits.eventNamesPerProject
    package var propertyKeysMax = Limits.propertyKeysPerProject
    package var usersPerBucketMax = Limits.usersPerBucket
    /// Segments of one project and month, above which some are merged whatever they weigh.
    package var segmentsPerMonthMax = 8

    package init() {}
}

/// A fault of the store, by name.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case foreignCluster, foreignShard, foreignLayout, newerFormat, olderFormat, olderEpoch, locked, corrupt, noSpace, poisoned
        case io, sequenceExpired, sequenceReused, invalid, tooLarge, cancelled, tooManyRows

        /// Such as "sequence expired".
        var words: String {
            self == .io ? "disk" : rawValue.reduce(into: "") { $0 += $1.isUppercase ? " \($1.lowercased())" : String($1) }
        }
    }

    package var code: Code
    package var message: String
    /// The same call may succeed later, against this very store.
    package var retryable: Bool { code == .noSpace }
    package var description: String { "\(code.words): \(message)" }

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: FileError) {
        self.init(error.isNoSpace ? .noSpace : .io, error.description)
    }

    static func corrupt(_ file: String, offset: Int, expected: String, found: String) -> StoreError {
        StoreError(.corrupt, "\(file) at offset \(offset): expected \(expected), found \(found)")
    }
}

/// One numbered part of what a producer sends.
package struct AppendRequest: Sendable {
    package var project: UInt32
    package var producer: UInt64
    package var sequence: UInt64
    package var part: UInt32
    /// Stands for the content: a repeat must have the same, or it is none.
    package var fingerprint: UInt32
    package var batch: EventBatch

    package init(
        project: UInt32, producer: UInt64, sequence: UInt64, part: UInt32, fingerprint: UInt32 = 0, batch: EventBatch
    ) {
        self.project = project
        self.producer = producer
        self.sequence = sequence
        self.part = part
        self.fingerprint = fingerprint
        self.batch = batch
    }
}

/// A row that was not stored, by its place in the batch.
package struct RejectedRow: Equatable, Sendable {
    package enum Code: UInt8, Sendable {
        case tooManyEventNames = 1
        case tooManyPropertyKeys = 2
        case tooManyUsers = 3
    }

    package var row: Int
    package var code: Code

    package init(row: Int, code: Code) {
        self.row = row
        self.code = code
    }
}

/// What became of an append; a repeat is told the same as the first time.
package struct AppendResult: Equatable, Sendable {
    package var accepted: Int
    package var rejected: [RejectedRow]
    package var repeated: Bool

    package init(accepted: Int, rejected: [RejectedRow] = [], repeated: Bool = false) {
        self.accepted = accepted
        self.rejected = rejected
        self.repeated = repeated
    }
}

/// Figures of one store; counters run from the opening.
package struct StoreStats: Equatable, Sendable {
    /// Rows on disk and in memory; a repeat counts until a seal or a merge meets it.
    package var rows: Int { segmentRows + memtableRows }
    package var segmentRows = 0
    package var segments = 0
    package var segmentBytes = 0
    package var userFiles = 0
    package var userFileBytes = 0
    package var users = 0
    package var logBytes = 0
    package var logFiles = 0
    package var memtableRows = 0
    package var memtableBytes = 0
    package var appends = 0
    package var repeats = 0
    package var syncs = 0
    package var seals = 0
    package var failedSeals = 0
    package var merges = 0
    package var failedMerges = 0
    /// Bytes written by seals and by merges: their sum over the first is the write amplification.
    package var sealedBytes = 0
    package var mergedBytes = 0
    /// Bytes of an unfinished record cut off at opening.
    package var tornBytesCut = 0
    /// Records read back from the log at opening.
    package var replayedRecords = 0
    package var poisoned = false
}
