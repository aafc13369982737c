/// Every limit that a client, a peer or a file can run into. Errors name the constant's subject and its value.
package enum Limits {
    package static let userIDBytes = 512
    package static let eventNameBytes = 256
    package static let eventIDBytes = 256
    package static let propertyKeyBytes = 256
    package static let propertyValueBytes = 8 * 1024
    package static let propertiesPerEvent = 256
    package static let propertyBytesPerEvent = 32 * 1024
    package static let propertyDepth = 16
    package static let eventNamesPerProject = 10_000
    package static let propertyKeysPerProject = 2_000

    /// Users of one project in one of the 1,024 buckets.
    package static let usersPerBucket = 1 << 22

    /// Events of one user that a query reads; of a user with more, an error names them.
    package static let userRows = 2_000_000
    /// Pairs of an event of one user and a step that it can fill.
    package static let userFills = 4_000_000
    /// Visits that the search for one user's attempt may waste.
    package static let userWork = 4_000_000

    package static let stepsPerFunnel = 64
    package static let eventsPerStep = 256
    package static let eventTypes = 1_000
    package static let filtersPerStep = 20
    package static let valuesPerFilter = 1_000
    package static let exclusions = 16
    package static let heldProperties = 3
    package static let funnelIDBytes = 128
    package static let windowMicroseconds: Int64 = 366 * 86_400 * 1_000_000
    package static let orderLimitMicroseconds: Int64 = 86_400 * 1_000_000

    package static let buckets = 1_024
    package static let shards = 256

    /// Rows of one batch on the wire and of one append.
    package static let rowsPerBatch = 200_000
    /// Text of one event, whatever is in it.
    package static let eventTextBytes = 1 << 20
    /// Bytes of one frame's body, encoded or decoded.
    package static let frameBytes = 16 << 20
    package static let definitionBytes = 1 << 20
    /// The same definition with all defaults written out and every character in its longest form.
    package static let effectiveDefinitionBytes = 8 << 20
    package static let jsonDepth = 64
    package static let idempotencyKeyBytes = 128
    /// Exact times kept for one step and shard before they become a histogram.
    package static let exactTimesPerStep = 65_536
    package static let userListPage = 10_000
    /// Distinct values of a breakdown on one shard, and with fewer of them where there are many steps, their counts.
    package static let breakdownValues = 1_000_000
    package static let breakdownCounts = 16_000_000
    /// Bytes on the wire of all values of a shard, and of all its groups with their counts.
    package static let breakdownBytes = 64 << 20
    /// Groups that a shard tells before it is asked for more, and the bytes of their values.
    package static let leadingGroups = 65_536
    package static let leadingBytes = 32 << 20
    /// Values that a shard is asked about by name, and their bytes.
    package static let namedGroups = 65_536
    package static let namedBytes = 4 << 20
    /// Groups of all shards together that a coordinator asks for whole.
    package static let wholeGroups = 4_000_000
    /// Rows of a breakdown that a query can ask for.
    package static let breakdownRows = 1_000
    /// Values of a property that one shard finds, and their bytes.
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
    /// Names of events that paths look at, or leave out.
    package static let pathEvents = 256
    /// Names of events and values of properties on one shard, and the bytes that all of them take on the wire.
    package static let predictorFeatures = 100_000
    package static let predictorBytes = 8 << 20
    /// Values of one property; with more it predicts nothing.
    package static let predictorValues = 1_000
    package static let predictorRows = 1_000

    /// 1971-01-01T00:00:00Z; an earlier timestamp is taken for a unit error.
    package static let earliestTimestamp: Int64 = 365 * 86_400 * 1_000_000
    /// What any decoder takes for a time, so that adding windows to it can't overflow.
    package static let storableTimes: Range<Int64> = 0..<(1 << 60)
    package static let futureMicroseconds: Int64 = 86_400 * 1_000_000
}
