/// Which stored events an export reads.
package struct ExportQuestion: Equatable, Sendable {
    /// Microseconds since 1970, the end excluded.
    package var times: Range<Int64>
    /// Names of the events; nil is all names, and the claims.
    package var events: [ByteString]?
    /// Nil is all users.
    package var user: ByteString?

    package init(times: Range<Int64>, events: [ByteString]? = nil, user: ByteString? = nil) {
        self.times = times
        self.events = events
        self.user = user
    }

    /// Max names that an export asks for.
    package static let eventsMax = 100
}

/// A place in the order of an export of one shard: by user ordinal, then time, event name, event id and property bytes. It is made of
/// values that no seal, merge or restart changes, so it outlives the files that the events are read from.
package struct ExportPosition: Equatable, Sendable {
    /// An event of the position's user.
    package struct Event: Equatable, Sendable {
        package var time: Int64
        package var name: ByteString
        /// Empty if the event has none.
        package var id: ByteString
        /// XXH64 of the canonical bytes of the properties; 0 if the event has an id.
        package var properties: UInt64
        /// How many events without an id that are equal in all of this were read; 0 if the event has an id.
        package var repeats: UInt64

        package init(time: Int64, name: ByteString, id: ByteString, properties: UInt64 = 0, repeats: UInt64 = 0) {
            self.time = time
            self.name = name
            self.id = id
            self.properties = properties
            self.repeats = repeats
        }
    }

    /// The user's ordinal.
    package var user: UInt32
    /// The last event that was read of the user; nil if none was.
    package var after: Event?

    package init(user: UInt32, after: Event? = nil) {
        self.user = user
        self.after = after
    }
}

/// Events of an export, and where it goes on.
package struct ExportPage: Equatable, Sendable {
    package var batch: EventBatch
    /// Nil at the end of the shard's events.
    package var next: ExportPosition?

    package init(batch: EventBatch, next: ExportPosition?) {
        self.batch = batch
        self.next = next
    }

    /// Max events of a page.
    package static let eventsMax = 65_536
    /// Bytes of events, each counted by itself, at which a page ends.
    package static let bytesMax = 8 << 20
}
