/// All limits on what clients, peers and files may contain. Errors name the limited value and the limit.
package enum Limits {
    package static let userIDBytes = 512
    package static let eventNameBytes = 256
    package static let eventIDBytes = 256
    package static let propertyKeyBytes = 256
    package static let propertyValueBytes = 8 * 1024
    package static let propertiesPerEvent = 256
    package static let propertyBytesPerEvent = 32 * 1024
    package static let propertyDepth = 16
    /// Bytes of the normalisation rules of one project as JSON, and of those of all projects as services get them.
    package static let ruleDocumentBytes = 256 << 10
    package static let ruleListBytes = 8_000_000
    package static let eventNamesPerProject = 10_000
    package static let propertyKeysPerProject = 2_000

    /// Users of one project in one bucket.
    package static let usersPerBucket = 1 << 22

    /// Events of one user that a query reads; a user with more is a heavy user (`FUNNEL.md` section 9).
    package static let userRows = 2_000_000
    /// Pairs of an event and a step that it can fill, of one user; a user with more is a heavy user.
    package static let userFills = 4_000_000
    /// The work budget: failed visits of the search for one user's attempt.
    package static let userWork = 4_000_000

    package static let stepsPerFunnel = 64
    package static let eventsPerStep = 256
    package static let eventTypes = 1_000
    package static let filtersPerStep = 20
    package static let valuesPerFilter = 1_000
    package static let exclusions = 16
    package static let heldProperties = 3
    package static let funnelIDBytes = 128
    package static let window: Microseconds = 31_622_400_000_000
    package static let orderLimit: Microseconds = 86_400_000_000

    package static let buckets = 1_024
    package static let shards = 256

    /// Rows of one batch on the wire and of one append.
    package static let rowsPerBatch = 200_000
    /// Bytes of the JSON text of one event.
    package static let eventTextBytes = 1 << 20
    /// Bytes of one frame's body, encoded or decoded.
    package static let frameBytes = 16 << 20
    package static let definitionBytes = 1 << 20
    /// A definition with all defaults written out and every character in its longest form.
    package static let effectiveDefinitionBytes = 8 << 20
    package static let jsonDepth = 64
    package static let idempotencyKeyBytes = 128
    /// Exact times kept for one step and shard before they become a histogram.
    package static let exactTimesPerStep = 65_536
    package static let userListPage = 10_000
    /// Distinct values of a breakdown on one shard.
    package static let breakdownValues = 1_000_000
    /// Counts of these values: one for each value and step.
    package static let breakdownCounts = 16_000_000
    /// Bytes on the wire of a shard's values, and of its groups with their counts.
    package static let breakdownBytes = 64 << 20
    /// Groups that a shard reports in the first round, and the bytes of their values.
    package static let leadingGroups = 65_536
    package static let leadingBytes = 32 << 20
    /// Values that a shard can be asked about by name in the second round, and their bytes.
    package static let namedGroups = 65_536
    package static let namedBytes = 4 << 20
    /// Groups of all shards together, if the coordinator asks for all.
    package static let wholeGroups = 4_000_000
    /// Rows of a breakdown that a query can ask for.
    package static let breakdownRows = 1_000
    /// Values of a property that one shard reports in discovery, and their bytes.
    package static let foundValues = 65_536
    package static let foundBytes = 32 << 20
    package static let trendBuckets = 1_000
    package static let segments = 10
    package static let segmentNameBytes = 256
    package static let cohorts = 10
    /// Values of an experiment's property.
    package static let variants = 10
    package static let pathLength = 5
    /// Distinct paths on one shard, and the bytes that all of them take on the wire.
    package static let paths = 65_536
    package static let pathBytes = 8 << 20
    package static let pathRows = 100
    /// Event names in `events` or `exclude_events` of paths.
    package static let pathEvents = 256
    /// Event names and property values that are features on one shard, and their bytes on the wire.
    package static let predictorFeatures = 100_000
    package static let predictorBytes = 8 << 20
    /// Values of one property in predictors; a property with more is left out.
    package static let predictorValues = 1_000
    package static let predictorRows = 1_000

    /// 1971-01-01T00:00:00Z in microseconds; an earlier timestamp is considered an error of its unit.
    package static let earliestTimestamp: Int64 = 365 * 86_400 * 1_000_000
    /// Times in microseconds that decoders accept, so that adding windows to them cannot overflow.
    package static let storableTimes: Range<Int64> = 0..<(1 << 60)
    package static let futureMicroseconds: Int64 = 86_400 * 1_000_000
}
