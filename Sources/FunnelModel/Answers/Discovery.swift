/// Event names, properties or values of stored events, or totals and names of a project. Answers of several shards are merged.
package enum Discovery: Equatable, Sendable {
    case events([ByteString: EventRows])
    case properties([ByteString: PropertyRows])
    case values(ValueRows)
    case totals(ProjectTotals)
    case names(ProjectNames)

    /// Merges another shard's answer of the same kind; another kind is ignored.
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

/// Totals of a project on a shard.
package struct ProjectTotals: Equatable, Sendable {
    /// Stored rows, counted like `EventRows`.
    package var rows: UInt64 = 0
    /// Rows of these that are in no segment file yet.
    package var unsealedRows: UInt64 = 0
    /// Segment files.
    package var segments: UInt64 = 0
    /// Users ever seen.
    package var users: UInt64 = 0
    /// Rows accepted since the store was opened, with duplicates. If it has changed, the data may have.
    package var taken: UInt64 = 0
    /// Time of the newest row in microseconds; nil without rows.
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

/// The event names and property keys of a project on a shard, with their limits, and what is wrong with the shard's files.
package struct ProjectNames: Equatable, Sendable {
    package var events: Set<ByteString> = []
    package var properties: Set<ByteString> = []
    package var eventsMax = 0
    package var propertiesMax = 0
    /// Damaged files of the project, each with what was found; the first 100.
    package var damaged: [ByteString] = []
    /// Bytes that the shard's last start cut off its log, of an append that was never acknowledged. Of no single project.
    package var tornBytes: UInt64 = 0

    package static let damagedMax = 100

    package init() {}

    /// The union of two shards' names, with the smaller limits.
    package func merging(_ other: ProjectNames) -> ProjectNames {
        var sum = self
        sum.events.formUnion(other.events)
        sum.properties.formUnion(other.properties)
        sum.eventsMax = min(eventsMax, other.eventsMax)
        sum.propertiesMax = min(propertiesMax, other.propertiesMax)
        sum.damaged += other.damaged
        sum.tornBytes += other.tornBytes
        return sum
    }

    /// Whether `count` is 80 % of the limit or more.
    package static func isNear(_ count: Int, most: Int) -> Bool { count > 0 && count >= most - most / 5 }
}

/// Stored rows of an event name. Duplicates count until they are merged, and so do rows of suppressed users.
package struct EventRows: Equatable, Sendable {
    package var rows: UInt64
    /// Times of the first and the last row, in microseconds.
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

/// Stored rows with a property, by the kind of its value; counted like `EventRows`.
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

    /// Adds rows whose value has a tag.
    /// - Parameter tag: one of `EventBatch.Tag`.
    package mutating func add(tag: UInt8, rows: Int = 1) {
        switch tag {
        case EventBatch.Tag.string: strings += UInt64(rows)
        case EventBatch.Tag.bool: booleans += UInt64(rows)
        default: numbers += UInt64(rows)
        }
    }
}

/// Numbers of events by the value of a property.
package struct ValueRows: Equatable, Sendable {
    /// By canonical value.
    package var rows: [PropertyValue: UInt64] = [:]
    /// Whether values were left out.
    package var isTruncated: Bool
    private var bytes = 0

    package init(isTruncated: Bool = false) { self.isTruncated = isTruncated }

    /// Adds rows of a value. A new value over the limits is left out; several threads may leave out different values.
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
    /// Max bytes that the value takes in a message.
    package var wireBytes: Int {
        if case .string(let text) = self { return text.count + 4 }
        return Self.scalarWireBytes
    }

    /// `wireBytes` of a number or boolean.
    static let scalarWireBytes = 11
}
