import FunnelModel
import Glibc

/// Settings and callbacks of a store.
package struct StoreOptions: Sendable {
    /// Rows in memory at which a seal is due.
    package var sealRows = 500_000
    /// Bytes in memory at which a seal is due.
    package var sealBytes = 64 << 20
    /// Appends are refused while the device has fewer free bytes than this; 0 is no reserve.
    package var reserveBytes: UInt64 = 0
    package var eventNamesMax = Limits.eventNamesPerProject
    package var propertyKeysMax = Limits.propertyKeysPerProject
    package var usersPerBucketMax = Limits.usersPerBucket
    /// Max new event names, and new property keys, of a project per hour, once it has `namesWithoutRate` of them; 0 is no limit.
    package var newNamesPerHour = 0
    package var namesWithoutRate = 1_000
    /// Max segment files of one project and month: if there are more, the lightest neighbours are merged.
    package var segmentsPerMonthMax = 8
    /// Max rows of a segment file that a merge writes.
    package var segmentRowsMax = MergePlan.rowsMax
    /// Max mapped segment files, besides those that are being read.
    package var mappingsMax = 4_096
    /// Max producers in the delivery memory of a project (`PROTOCOL.md` section 5).
    package var producersMax = 100_000
    /// Deliveries of one project plus their rejected rows: above the first, those older than an hour are forgotten; the
    /// second is the limit.
    package var deliveriesUsual = 1 << 16
    package var deliveriesMax = 1 << 20
    /// The clock, in seconds since 1970.
    package var now: @Sendable () -> UInt64 = { UInt64(max(0, time(nil))) }
    /// Called with the time that each sync of the log took, on the thread that appends.
    package var onSync: @Sendable (Duration) -> Void = { _ in }
    /// Called with each note, on any thread.
    package var onNote: @Sendable (StoreNote) -> Void = { _ in }
    /// Runs work that holds locks which appends and queries wait for, and returns when it is done. A seal or merge may be on
    /// a thread of low priority, which must not hold these locks for long.
    package var urgently: @Sendable (_ body: @escaping () -> Void) -> Void = { $0() }

    package init() {}

    var deliveryRules: DeliveryMemory.Rules {
        var rules = DeliveryMemory.Rules()
        (rules.producersMax, rules.weightUsual, rules.weightMax) = (producersMax, deliveriesUsual, deliveriesMax)
        return rules
    }
}
