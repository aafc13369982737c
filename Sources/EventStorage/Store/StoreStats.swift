import FunnelModel
import Glibc

/// Statistics of one store; counters begin at the opening.
package struct StoreStats: Equatable, Sendable {
    /// Rows on disk and in memory; a duplicate counts until a seal or merge drops it.
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
    /// Bytes of segment files written by seals and by merges. Their sum divided by `sealedBytes` is the write amplification.
    package var sealedBytes = 0
    package var mergedBytes = 0
    /// Bytes cut off the last log at opening.
    package var tornBytesCut = 0
    /// Records read back from the log at opening.
    package var replayedRecords = 0
    package var poisoned = false
    /// Files found damaged since the opening.
    package var damagedFiles = 0
    /// Segment files that are mapped now.
    package var mappings = 0
    /// When the oldest append that no seal covers came or was replayed; nil if there is none.
    package var unsealedSince: ContinuousClock.Instant?
    /// How long the last seal took.
    package var lastSeal: Duration = .zero
    /// Rows rejected since the opening, by code; repeats are not counted again.
    package var rejectedRows: [RejectedRow.Code: Int] = [:]
    /// Properties that were left out of stored rows since the opening.
    package var propertiesLeftOut = 0
    /// Max of all projects.
    package var mostEventNames = 0
    package var mostPropertyKeys = 0
    /// Groups of appends refused because the disk is full or its reserve is used.
    package var appendsRefusedForSpace = 0
}

extension StoreStats {
    /// Adds segment files (`sign` is 1), or removes them (-1).
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
