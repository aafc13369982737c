import FunnelModel
import Glibc

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
    /// New event names, and new property keys, that a project may have in an hour once it has `namesWithoutRate`; 0 is no limit.
    package var newNamesPerHour = 0
    package var namesWithoutRate = 1_000
    /// Segments of one project and month, above which some are merged whatever they weigh.
    package var segmentsPerMonthMax = 8
    /// Rows that a merge makes one segment of, at most.
    package var segmentRowsMax = MergePlan.rowsMax
    /// Segments that are mapped at a time, beside those that are being read.
    package var mappingsMax = 4_096
    /// What is remembered of deliveries: see `PROTOCOL.md`, section 5.
    package var producersMax = 100_000
    /// Deliveries of one project and their rejected rows, of which what is older than an hour may be forgotten, and all.
    package var deliveriesUsual = 1 << 16
    package var deliveriesMax = 1 << 20
    /// Seconds since 1970.
    package var now: @Sendable () -> UInt64 = { UInt64(max(0, time(nil))) }
    /// Told how long each sync of the log took; on the thread that appends.
    package var onSync: @Sendable (Duration) -> Void = { _ in }
    /// Told of damaged files and of work that failed; on any thread.
    package var onNote: @Sendable (StoreNote) -> Void = { _ in }
    /// Runs what holds locks that appends and queries wait for, and returns when it is done: seals and merges may run on a
    /// thread that gets no time while others work.
    package var urgently: @Sendable (_ body: @escaping () -> Void) -> Void = { $0() }

    package init() {}

    var deliveryRules: DeliveryMemory.Rules {
        var rules = DeliveryMemory.Rules()
        (rules.producersMax, rules.weightUsual, rules.weightMax) = (producersMax, deliveriesUsual, deliveriesMax)
        return rules
    }
}

/// A fault of the store, by name.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case foreignCluster, foreignShard, foreignLayout, newerFormat, olderFormat, olderEpoch, locked, corrupt, noSpace, poisoned
        case io, sequenceExpired, sequenceReused, overloaded, invalid, tooLarge, cancelled, tooManyRows

        /// Such as "sequence expired".
        var words: String {
            self == .io ? "disk" : rawValue.reduce(into: "") { $0 += $1.isUppercase ? " \($1.lowercased())" : String($1) }
        }
    }

    package var code: Code
    package var message: String
    /// The same call may succeed later, against this very store.
    package var retryable: Bool { code == .noSpace || code == .overloaded }
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

/// Rows to store, under the name by which a repeat of them is known.
package struct AppendRequest: Sendable {
    package var project: UInt32
    let name: DeliveryName
    /// Stands for the request as its sender has it: a repeat must have the same, or it is none.
    package var fingerprint: UInt32
    /// Nobody repeats it but within the minute, so it need not be remembered longer.
    package var isShort: Bool
    /// New names and keys are not limited by rate, as for an operator who loads what there is.
    package var isNameRateFree = false
    /// The batch has all rows of the request that are of these buckets, but for those that were refused before. nil: the
    /// sender does not name buckets, and these are all rows under the name.
    package var buckets: BucketSet?
    /// The rows' numbers in the request; nil: 0, 1, 2, …
    package var numbers: RowNumbers?
    /// Rows of these buckets that whoever took the request has refused for a reason that passes, such as its clock: a
    /// repeat gets the same answer for them.
    package var refused: [RefusedRow]
    package var batch: EventBatch
    /// The fingerprint of the same rows where the sender names no buckets, by which repeats of what release 0.1 has stored are
    /// known.
    package var fingerprintOfWhole: (@Sendable () -> UInt32)?

    package struct RefusedRow: Equatable, Sendable {
        package var row: RejectedRow
        package var bucket: Int

        package init(_ row: RejectedRow, bucket: Int) {
            self.row = row
            self.bucket = bucket
        }
    }

    package init(
        project: UInt32, producer: UInt64, sequence: UInt64, part: UInt32, isShort: Bool = false, fingerprint: UInt32 = 0,
        buckets: BucketSet? = nil, numbers: RowNumbers? = nil, refused: [RefusedRow] = [], batch: EventBatch
    ) {
        self.project = project
        name = DeliveryName(producer: producer, sequence: sequence, part: part)
        self.fingerprint = fingerprint
        self.isShort = isShort
        self.buckets = buckets
        self.numbers = numbers
        self.refused = refused
        self.batch = batch
    }

    /// A row's number in the request.
    func number(_ row: Int) -> Int { numbers.map { $0[row] } ?? row }

    func holds(number: Int) -> Bool {
        (numbers.map { $0.contains(number) } ?? (0..<batch.count).contains(number)) || refused.contains { $0.row.row == number }
    }
}

/// A row that was not stored, by its number in the request.
package struct RejectedRow: Equatable, Sendable {
    package enum Code: UInt8, Sendable, CaseIterable {
        case tooManyEventNames = 1
        /// Told of before 0.2; since then the property is left out.
        case tooManyPropertyKeys = 2
        case tooManyUsers = 3
        case eventNamesTooFast = 4
        /// By the clock of the ingest that took the request first.
        case timeAhead = 5
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

/// Figures of one store, kept as things happen; counters run from the opening.
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
    /// Files found damaged, which merges go around.
    package var damagedFiles = 0
    /// Segments that are mapped now.
    package var mappings = 0
    /// When the oldest row that is in memory and log alone came (or was replayed); nil without one.
    package var unsealedSince: ContinuousClock.Instant?
    /// How long the last seal took.
    package var lastSeal: Duration = .zero
    /// Rows not stored since the opening, repeats not counted again.
    package var rejectedRows: [RejectedRow.Code: Int] = [:]
    /// Properties that were left out of stored rows since the opening.
    package var propertiesLeftOut = 0
    /// Of the project that has the most.
    package var mostEventNames = 0
    package var mostPropertyKeys = 0
    /// Groups of appends refused because the disk is full or as good as.
    package var appendsRefusedForSpace = 0
}

extension StoreStats {
    mutating func count(_ segments: [Segment], by sign: Int) {
        self.segments += sign * segments.count
        for segment in segments {
            segmentRows += sign * segment.record.rows
            segmentBytes += sign * segment.record.bytes
        }
    }

    mutating func count(_ files: [UserFile], by sign: Int) {
        userFiles += sign * files.count
        userFileBytes += sign * files.reduce(0) { $0 + $1.record.bytes }
    }
}
