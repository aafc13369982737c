import Codec
import FunnelModel

/// Asks a shard for the next page of an export. `PROTOCOL.md` section 11.
package struct ExportQuery: Equatable, Sendable {
    package var question: ExportQuestion
    /// Max events of the page.
    package var limit: Int
    /// Where the page before ended; nil is the beginning.
    package var after: ExportPlace?

    package init(question: ExportQuestion, limit: Int, after: ExportPlace? = nil) {
        self.question = question
        self.limit = limit
        self.after = after
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.zigzag(question.times.lowerBound)
        out.zigzag(question.times.upperBound)
        out.integer(UInt8((question.events == nil ? 0 : 1) | (question.user == nil ? 0 : 2) | (after == nil ? 0 : 4)))
        if let events = question.events {
            out.varint(UInt64(events.count))
            for name in events { out.string(name) }
        }
        if let user = question.user { out.string(user) }
        out.varint(UInt64(limit))
        after?.write(to: &out)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let start = try reader.zigzag("start")
        let end = try reader.zigzag("end")
        guard start <= end else { throw ByteError(offset: reader.offset, reason: "the end is before the start") }
        question = ExportQuestion(times: start..<end)
        let flags: UInt8 = try reader.integer("flags")
        guard flags <= 7 else { throw ByteError(offset: reader.offset, reason: "flags \(flags) are unknown") }
        if flags & 1 != 0 {
            var events: [ByteString] = []
            for _ in 0..<(try reader.count(limit: ExportQuestion.eventsMax, "events")) {
                let name = try reader.string(limit: Limits.eventNameBytes, "event")
                guard !name.isEmpty, !EventName.isReserved(name), !events.contains(name) else {
                    throw ByteError(offset: reader.offset, reason: "an event is empty, reserved or given twice")
                }
                events.append(name)
            }
            question.events = events
        }
        if flags & 2 != 0 {
            let user = try reader.string(limit: Limits.userIDBytes, "user")
            guard !user.isEmpty else { throw ByteError(offset: reader.offset, reason: "the user is empty") }
            question.user = user
        }
        limit = try reader.count(limit: ExportPage.eventsMax, "limit")
        guard limit > 0 else { throw ByteError(offset: reader.offset, reason: "the limit is 0") }
        after = flags & 4 != 0 ? try ExportPlace(&reader) : nil
        try reader.finish("export query")
    }
}

/// A position in an export, and the data that it is of.
package struct ExportPlace: Equatable, Sendable {
    /// The data id of the shard's directory: ordinals of other data are of other users.
    package var data: UInt64
    package var position: ExportPosition

    package init(data: UInt64, position: ExportPosition) {
        self.data = data
        self.position = position
    }

    package func write(to out: inout ByteWriter) {
        out.integer(data)
        out.integer(position.user)
        guard let after = position.after else { return out.integer(UInt8(0)) }
        out.integer(UInt8(1))
        out.zigzag(after.time)
        out.string(after.name)
        out.string(after.id)
        guard after.id.isEmpty else { return }
        out.integer(after.properties)
        out.varint(after.repeats)
    }

    package init(_ reader: inout ByteReader) throws(ByteError) {
        data = try reader.integer("data id")
        position = ExportPosition(user: try reader.integer("ordinal"))
        let hasEvent: UInt8 = try reader.integer("event of a position")
        guard hasEvent <= 1 else { throw ByteError(offset: reader.offset, reason: "event of a position: \(hasEvent) is neither 0 nor 1") }
        if hasEvent == 0 { return }
        var event = ExportPosition.Event(
            time: try reader.zigzag("time of a position"), name: try reader.string(limit: Limits.eventNameBytes, "event of a position"),
            id: try reader.string(limit: Limits.eventIDBytes, "event id of a position"))
        if event.id.isEmpty {
            event.properties = try reader.integer("hash of properties")
            event.repeats = try reader.varint("repeats")
        }
        position.after = event
    }
}

/// A shard's page of an export, and where the next one begins.
package struct ExportPageMessage: Equatable, Sendable {
    package var batch: EventBatch
    /// Nil at the end of the shard's events.
    package var next: ExportPlace?

    package init(batch: EventBatch, next: ExportPlace?) {
        self.batch = batch
        self.next = next
    }

    package var body: [UInt8] {
        var out = ByteWriter(reserving: 1_024 + EventBatchCodec.estimate(batch))
        out.integer(UInt8(next == nil ? 0 : 1))
        next?.write(to: &out)
        EventBatchCodec.encode(batch, &out)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let hasNext: UInt8 = try reader.integer("next")
        guard hasNext <= 1 else { throw ByteError(offset: reader.offset, reason: "next: \(hasNext) is neither 0 nor 1") }
        next = hasNext == 1 ? try ExportPlace(&reader) : nil
        batch = try EventBatchCodec.decode(body, range: reader.offset..<body.count, bounds: .wire)
        guard batch.count <= ExportPage.eventsMax else {
            throw ByteError(offset: reader.offset, reason: "\(batch.count) events; a page has at most \(ExportPage.eventsMax)")
        }
    }
}
