/// Names, properties or values that stored events have; what several shards found adds up.
package enum Discovery: Equatable, Sendable {
    case events([ByteString: EventRows])
    case properties([ByteString: PropertyRows])
    case values(ValueRows)
    case totals(ProjectTotals)
    case names(ProjectNames)

    /// Adds what another shard found of the same kind.
    package mutating func merge(_ other: Discovery) {
        switch (self, other) {
        case (.events(let mine), .events(let more)): self = .events(mine.merging(more) { $0.merging($1) })
        case (.properties(let mine), .properties(let more)): self = .properties(mine.merging(more) { $0.merging($1) })
        case (.totals(let mine), .totals(let more)): self = .totals(mine.merging(more))
        case (.names(let mine), .names(let more)): self = .names(mine.merging(more))
        case (.values(var mine), .values(let more)):
            self = .events([:])
            mine.merge(more)
            self = .values(mine)
        default: break
        }
    }
}

/// What a project has on a shard.
package struct ProjectTotals: Equatable, Sendable {
    /// Stored rows, counted like `EventRows`; those of them that no segment holds yet.
    package var rows: UInt64 = 0
    package var unsealedRows: UInt64 = 0
    package var segments: UInt64 = 0
    /// Users that were ever seen.
    package var users: UInt64 = 0
    /// Rows taken since the store was opened, some of which may have been repeats: what has changed once this has.
    package var taken: UInt64 = 0
    /// Microseconds; nil without rows.
    package var newestTime: Int64?

    package init() {}

    package func merging(_ other: ProjectTotals) -> ProjectTotals {
        var sum = self
        sum.rows += other.rows
        sum.unsealedRows += other.unsealedRows
        sum.segments += other.segments
        sum.users += other.users
        sum.taken += other.taken
        sum.newestTime = [newestTime, other.newestTime].compactMap(\.self).max()
        return sum
    }
}

/// The names of a project that are limited, and how many it may have on a shard.
package struct ProjectNames: Equatable, Sendable {
    package var events: Set<ByteString> = []
    package var properties: Set<ByteString> = []
    package var eventsMax = 0
    package var propertiesMax = 0
    /// Files of the project that hold other bytes than were written, each with what was found; the first hundred.
    package var damaged: [ByteString] = []

    package static let damagedMax = 100

    package init() {}

    /// Of two shards: a name that both have counts once.
    package func merging(_ other: ProjectNames) -> ProjectNames {
        var sum = self
        sum.events.formUnion(other.events)
        sum.properties.formUnion(other.properties)
        sum.eventsMax = min(eventsMax, other.eventsMax)
        sum.propertiesMax = min(propertiesMax, other.propertiesMax)
        sum.damaged += other.damaged
        return sum
    }

    /// Whether `count` is 80 % of the limit or more.
    package static func isNear(_ count: Int, most: Int) -> Bool { count > 0 && count >= most - most / 5 }
}

/// Stored rows of an event name; repeated deliveries count until they are merged, and suppressed users' rows too.
package struct EventRows: Equatable, Sendable {
    package var rows: UInt64
    /// Microseconds of the first and the last.
    package var times: ClosedRange<Int64>

    package init(rows: UInt64, times: ClosedRange<Int64>) {
        self.rows = rows
        self.times = times
    }

    package func merging(_ other: EventRows) -> EventRows {
        EventRows(
            rows: rows + other.rows,
            times: min(times.lowerBound, other.times.lowerBound)...max(times.upperBound, other.times.upperBound))
    }
}

/// Stored rows that have a property, by the kind of its value; counted like `EventRows`.
package struct PropertyRows: Equatable, Sendable {
    package var strings: UInt64
    package var numbers: UInt64
    package var booleans: UInt64

    package init(strings: UInt64 = 0, numbers: UInt64 = 0, booleans: UInt64 = 0) {
        self.strings = strings
        self.numbers = numbers
        self.booleans = booleans
    }

    package var rows: UInt64 { strings + numbers + booleans }

    package func merging(_ other: PropertyRows) -> PropertyRows {
        PropertyRows(strings: strings + other.strings, numbers: numbers + other.numbers, booleans: booleans + other.booleans)
    }

    /// - Parameter tag: of `EventBatch.Tag`.
    package mutating func add(tag: UInt8, rows: Int = 1) {
        switch tag {
        case EventBatch.Tag.string: strings += UInt64(rows)
        case EventBatch.Tag.bool: booleans += UInt64(rows)
        default: numbers += UInt64(rows)
        }
    }
}

/// Events by the value of a property.
package struct ValueRows: Equatable, Sendable {
    /// By canonical value.
    package var rows: [PropertyValue: UInt64] = [:]
    /// Values were left out, so that what is here may lack some too.
    package var isTruncated: Bool
    private var bytes = 0

    package init(isTruncated: Bool = false) { self.isTruncated = isTruncated }

    /// Adds rows of a value, unless there are too many others. Of several threads each may leave out others.
    package mutating func add(_ value: PropertyValue, rows more: UInt64) {
        let value = value.canonical
        if let known = rows[value] {
            rows[value] = known + more
            return
        }
        bytes += value.wireBytes
        guard rows.count < Limits.foundValues, bytes <= Limits.foundBytes else {
            bytes -= value.wireBytes
            isTruncated = true
            return
        }
        rows[value] = more
    }

    /// Adds another thread's rows, within the limits of one.
    package mutating func add(_ other: ValueRows) {
        for (value, more) in other.rows { add(value, rows: more) }
        isTruncated = isTruncated || other.isTruncated
    }

    /// Adds another shard's rows, without limits.
    package mutating func merge(_ other: ValueRows) {
        rows.merge(other.rows, uniquingKeysWith: +)
        isTruncated = isTruncated || other.isTruncated
    }

    package static func == (a: ValueRows, b: ValueRows) -> Bool { a.rows == b.rows && a.isTruncated == b.isTruncated }
}

extension PropertyValue {
    /// Bytes that the value takes in a message, at most.
    package var wireBytes: Int {
        if case .string(let text) = self { return text.count + 4 }
        return 11
    }
}
