import FunnelModel

extension StoreView {
    /// Reads the next events of an export.
    ///
    /// The order is that of `ExportPosition`, which seals and merges do not change. Duplicates are merged and suppressed users are left
    /// out, as for queries; claims are read as their rows if all names are asked for.
    /// - Parameters:
    ///   - after: where the page before ended; nil is the beginning.
    ///   - eventsMax: max events of the page.
    ///   - longUserRows: rows from which a user is read piece by piece.
    ///   - rowsMax: rows of the store after which a page ends, even if it has no event.
    package func exportPage(
        _ question: ExportQuestion, after: ExportPosition?, eventsMax: Int = ExportPage.eventsMax, bytesMax: Int = ExportPage.bytesMax,
        longUserRows: Int = 1 << 18, rowsMax: Int = 20_000_000
    ) throws(StoreError) -> ExportPage {
        do {
            var reader = ExportReader(self, question, after, eventsMax: eventsMax, bytesMax: bytesMax)
            return try reader.page(longUserRows: longUserRows, rowsMax: rowsMax)
        } catch {
            throw error as? StoreError ?? StoreError(.cancelled, "the caller gave up")
        }
    }
}

/// Reads one page of an export.
private struct ExportReader {
    private let view: StoreView
    private let question: ExportQuestion
    private let selection: RowSelection
    private let eventsMax: Int
    private let bytesMax: Int
    /// What is left to pass of the user with whom the page before ended.
    private var passing: PassedEvents?
    private let first: ExportPosition?

    private var batch = EventBatchBuilder()
    private var bytes = 0
    private var isFull = false
    /// The ordinal and the last event of the page, and how many events without an id at its end are equal.
    private var last: (user: UInt32, event: Event, properties: UInt64, repeats: UInt64)?

    init(_ view: StoreView, _ question: ExportQuestion, _ after: ExportPosition?, eventsMax: Int, bytesMax: Int) {
        self.view = view
        self.question = question
        self.eventsMax = max(1, eventsMax)
        self.bytesMax = bytesMax
        let names = question.events?.filter { !EventName.isReserved($0) } ?? view.names
        selection = RowSelection(view, names, within: question.times)
        first = after
    }

    mutating func page(longUserRows: Int, rowsMax: Int) throws -> ExportPage {
        let places = places()
        guard !places.isEmpty, selection.times != nil else { return ExportPage(batch: EventBatch(), next: nil) }
        let rows = selection.names.indices.reduce(0) { $0 + selection.rows($1) }
        let perPlace = max(1, rows / max(1, view.places.users))
        let slice = max(1, Self.sliceRows / perPlace)
        let placesMax = max(slice, rowsMax / perPlace)
        let reader = UserRowReader(selection, rowsMax: longUserRows)
        var start = places.lowerBound
        while start < places.upperBound, !isFull {
            if start - places.lowerBound >= placesMax { return finish(next: ExportPosition(user: ordinal(start))) }
            let end = min(places.upperBound, start + slice)
            _ = try reader.each(in: start..<end) { place in
                if !isFull { try addLong(place) }
            } _: { user in
                if !isFull { try add(user) }
                return !isFull
            }
            start = end
        }
        guard isFull, let last else { return finish(next: nil) }
        return finish(next: Self.position(last))
    }

    /// Rows that are read at a time, roughly.
    private static let sliceRows = 65_536

    private consuming func finish(next: ExportPosition?) -> ExportPage { ExportPage(batch: batch.finish(), next: next) }

    private static func position(_ last: (user: UInt32, event: Event, properties: UInt64, repeats: UInt64)) -> ExportPosition {
        let event = last.event
        return ExportPosition(
            user: last.user,
            after: .init(time: event.time, name: event.name, id: event.id, properties: last.properties, repeats: last.repeats))
    }

    private func ordinal(_ place: Int) -> UInt32 { UInt32(truncatingIfNeeded: min(view.places.ordinal(place), UInt64(UInt32.max))) }

    /// The places of users that are still to be read.
    private func places() -> Range<Int> {
        var range = 0..<view.places.users
        if let user = question.user {
            guard let place = view.place(of: user) else { return 0..<0 }
            range = place..<(place + 1)
        }
        guard let first else { return range }
        // Users never lose their ordinals, but a position may come from elsewhere.
        let from = view.places.firstPlace(notBelow: first.user)
        return max(range.lowerBound, min(from, range.upperBound))..<range.upperBound
    }

    // MARK: - Events

    /// Takes the events of a user that were not read yet.
    private mutating func add(_ user: UserRows) throws {
        begin(ordinal(user.place))
        for i in 0..<user.count where !isFull {
            let (time, name) = (user.time(i), selection.names[user.event(i)].name)
            guard question.times.contains(time), try isNew(time, name, { try user.row(i) }) else { continue }
            take(try user.row(i), ordinal(user.place))
        }
    }

    /// The same for a user with very many rows.
    private mutating func addLong(_ place: Int) throws {
        let user = ordinal(place)
        if view.suppressed.contains(user) { return }
        begin(user)
        let reader = try LongUserReader(selection, place, from: passing?.after.time ?? question.times.lowerBound)
        let id = view.ids(ofPlaces: [place])[0]
        while !isFull, let rows = try reader.next() {
            for row in rows where !isFull {
                if row.time >= question.times.upperBound { return }
                let name = selection.names[row.name].name
                func event() throws -> Event { try reader.event(row, user: id) }
                guard question.times.contains(row.time), try isNew(row.time, name, event) else { continue }
                take(try event(), user)
            }
        }
    }

    private mutating func begin(_ user: UInt32) {
        passing = first.flatMap { first in first.user == user ? first.after.map { PassedEvents($0) } : nil }
    }

    private mutating func isNew(_ time: Int64, _ name: ByteString, _ event: () throws -> Event) throws -> Bool {
        guard passing != nil else { return true }
        if try passing?.passes(time, name, event) == true { return false }
        passing = nil
        return true
    }

    private mutating func take(_ event: Event, _ user: UInt32) {
        let size = Self.bytes(event)
        if batch.count > 0, bytes + size > bytesMax {
            isFull = true
            return
        }
        bytes += size
        batch.append(event)
        let properties = event.id.isEmpty ? event.propertyHash : 0
        last = (user, event, properties, event.id.isEmpty ? repeats(of: event, properties, user) + 1 : 0)
        if batch.count >= eventsMax { isFull = true }
    }

    /// How many events equal to this one, which has no id, were read right before it.
    private func repeats(of event: Event, _ properties: UInt64, _ user: UInt32) -> UInt64 {
        let before = last.map { Self.position($0) } ?? first
        guard let before, before.user == user, let other = before.after, other.time == event.time, other.name == event.name,
            other.id.isEmpty, other.properties == properties
        else { return 0 }
        return other.repeats
    }

    /// Bytes that an event takes as text, roughly; texts that repeat count each time.
    private static func bytes(_ event: Event) -> Int {
        event.properties.reduce(64 + event.user.count + event.name.count + event.id.count) { sum, property in
            guard case .string(let text) = property.value else { return sum + property.key.count + 24 }
            return sum + property.key.count + text.count + 8
        }
    }
}

/// The events of a user that the page before had, from the first one of its last time on.
private struct PassedEvents {
    let after: ExportPosition.Event
    /// Events without an id, equal to the last one, that were passed.
    private var repeats: UInt64 = 0

    init(_ after: ExportPosition.Event) { self.after = after }

    /// Whether the page before had the event. Call for events in order, until the first that it did not have.
    /// - Parameter event: reads the whole event; called only for events of the last time and name.
    mutating func passes(_ time: Int64, _ name: ByteString, _ event: () throws -> Event) throws -> Bool {
        if time != after.time { return time < after.time }
        if name != after.name { return name < after.name }
        let event = try event()
        guard after.id.isEmpty else { return event.id <= after.id }
        guard event.id.isEmpty, repeats < after.repeats else { return false }
        // Events without an id stay for ever, in the order of their property bytes, so the last one of the page is among them.
        if event.propertyHash == after.properties { repeats += 1 }
        return true
    }
}

extension Event {
    fileprivate var propertyHash: UInt64 { XXH64.hash(Event.canonicalBytes(properties)) }
}

extension PlaceMap {
    /// The place of the first user with an ordinal of at least `bound`.
    fileprivate func firstPlace(notBelow bound: UInt32) -> Int {
        let range = places(ofBuckets: Ordinal.bucket(bound)..<(Ordinal.bucket(bound) + 1))
        return min(range.lowerBound + Int(Ordinal.low(bound)), range.upperBound)
    }
}
