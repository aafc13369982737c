import FunnelModel
import FunnelProtocol

/// The events of a request as columns, with their indexes in the request, and the events that were rejected.
package struct ReadBatch {
    package var batch: EventBatch
    /// By row of the batch, the index in the request.
    package var index: [Int]
    package var rejected: [(index: Int, fault: EventFault)]
    /// Claims, with the indexes of the records that they came with.
    package var claims = ClaimList()
    /// Indexes of records that are a claim and no event.
    package var aliases: [Int] = []
    /// Whether rows of the batch are claims: then an index may have several rows.
    var hasClaimRows = false
    /// Rows of the batch whose time is too far ahead of the clock. Only for batches from the wire: the shard remembers these
    /// rejections under the request's number, so that a retry gets the same answer when the clock has moved on.
    var ahead: Set<Int> = []
    /// What normalisation rules have made of the events; nil: the project has none.
    package var ruled: RuleEffect?
}

/// Reads the forms of a batch: JSON array, `{"events": [...]}`, NDJSON, and columns from the wire.
package struct BatchReader {
    /// Microseconds since 1970 UTC.
    let now: Int64
    /// Events without an id get the id `KEY/INDEX`; empty = no key.
    let idempotencyKey: ByteString
    let eventsMax: Int
    /// What becomes of an event without a timestamp; nil: it is rejected. Rows from the wire have a time.
    let missingTime: MissingTime?

    package init(now: Int64, idempotencyKey: ByteString, eventsMax: Int, missingTime: MissingTime? = nil) {
        self.now = now
        self.idempotencyKey = idempotencyKey
        self.eventsMax = eventsMax
        self.missingTime = missingTime
    }

    /// Reads a JSON body event by event, so that its values are never in memory as a whole. Throws `JSONError` or `ProtocolError`.
    func array(_ bytes: [UInt8]) throws -> ReadBatch {
        do {
            return ReadBatch(
                try EventScanner.list(
                    bytes, now: now, idempotencyKey: idempotencyKey, missingTime: missingTime, limit: eventsMax))
        } catch EventBodyError.json(var error) {
            if error.isTextAfter { error.reason += "; for one event a line send Content-Type: application/x-ndjson" }
            throw error
        } catch EventBodyError.tooMany {
            throw tooMany
        } catch {
            throw ProtocolError(
                .invalidQuery, "the body must be a list of events, or {\"events\": [...]}; or send one event to /track-event",
                faults: [FieldFault("events", "is required")])
        }
    }

    /// Reads NDJSON, one event per line. A line that is not JSON is rejected alone. Empty lines are not counted.
    func lines(_ bytes: [UInt8]) throws(ProtocolError) -> ReadBatch {
        do {
            return ReadBatch(
                try EventScanner.lines(
                    bytes, now: now, idempotencyKey: idempotencyKey, missingTime: missingTime, limit: eventsMax))
        } catch .tooMany {
            throw tooMany
        } catch {
            // Lines are split at line ends only, so nothing else fails the whole body.
            throw ProtocolError(.invalidQuery, "the body is not lines of JSON")
        }
    }

    /// Checks rows from the wire. Under an idempotency key, rows without an id get one.
    package func columns(_ batch: EventBatch) -> ReadBatch {
        let events = EventReader(now: now)
        var rejected: [(index: Int, fault: EventFault)] = []
        let users = (0..<batch.users.count).map { isValidUTF8(batch.users.slice($0)) }
        let names = (0..<batch.names.count).map { isValidUTF8(batch.names.slice($0)) }
        let keys = (0..<batch.keys.count).map { !batch.keys.isEmpty($0) && isValidUTF8(batch.keys.slice($0)) }
        let strings = (0..<batch.strings.count).map { isValidUTF8(batch.strings.slice($0)) }
        func hasGoodText(_ row: Int) -> Bool {
            (Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1])).allSatisfy { p in
                keys[Int(batch.propertyKey[p])]
                    && (batch.propertyTag[p] != EventBatch.Tag.string || strings[Int(batch.propertyBits[p])])
            }
        }
        let isReserved = (0..<batch.names.count).map { EventName.isReserved(batch.names[$0]) }
        var good: [Int] = []
        var ahead: Set<Int> = []
        good.reserveCapacity(batch.count)
        for row in 0..<batch.count {
            if isReserved[Int(batch.name[row])], hasGoodText(row), events.isClaim(batch.event(row)) {
                // Stays in its place, so that a retry of the request has the same slices.
                good.append(row)
            } else if batch.flags[row] != 0 {
                // A flag makes the row another event; only services that set the time themselves may use one.
                rejected.append((row, EventFault("flags", "must be 0")))
            } else if !users[Int(batch.user[row])] {
                rejected.append((row, EventFault("user_id", "is not UTF-8")))
            } else if !names[Int(batch.name[row])] {
                rejected.append((row, EventFault("event", "is not UTF-8")))
            } else if !isValidUTF8(batch.ids.slice(row)) {
                rejected.append((row, EventFault("event_id", "is not UTF-8")))
            } else if !hasGoodText(row) {
                rejected.append((row, EventFault("properties", "hold an empty key, or text that is not UTF-8")))
            } else if let fault = events.check(batch, row: row) {
                if fault == .tooFarAhead {
                    ahead.insert(good.count)
                    good.append(row)
                } else {
                    rejected.append((row, fault))
                }
            } else {
                good.append(row)
            }
        }
        var kept = batch
        if !idempotencyKey.isEmpty {
            var ids = StringTable()
            for row in 0..<batch.count { ids.append(batch.ids.isEmpty(row) ? id(row) : batch.ids[row]) }
            kept.ids = ids
        }
        return ReadBatch(batch: rejected.isEmpty ? kept : kept.gather(good), index: good, rejected: rejected, ahead: ahead)
    }

    /// The id of an event without one, under an idempotency key.
    func id(_ index: Int) -> ByteString { ByteString(idempotencyKey.bytes + Array("/\(index)".utf8)) }

    private var tooMany: ProtocolError {
        ProtocolError(
            .tooLarge, "the request has more than \(eventsMax) events, the limit (events-per-request); nothing was stored",
            limit: .eventsPerRequest)
    }
}

extension ReadBatch {
    init(_ events: ScannedEvents) {
        self.init(
            batch: events.batch, index: events.index, rejected: events.rejected, claims: events.claims, aliases: events.aliases)
    }
}
