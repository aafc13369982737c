import FunnelModel
import Testing

/// Bodies read by the scanner and, for comparison, value by value.
enum ScannerComparison {
    /// Microseconds.
    static let now: Int64 = 1_750_000_000_000_000

    /// One body after the other, read by values.
    static func slowly(_ bytes: [UInt8], _ ranges: [Range<Int>], key: ByteString) -> ScannedEvents {
        var builder = EventBatchBuilder()
        var out = ScannedEvents(batch: EventBatch(), index: [], rejected: [])
        let reader = EventReader(now: now)
        for (place, range) in ranges.enumerated() {
            do {
                if range.count > Limits.eventTextBytes {
                    throw EventFault("body", "the event's text has \(range.count) bytes; the limit is \(Limits.eventTextBytes)", "too_long")
                }
                switch try reader.record(try JSONParser.parseStrictly(bytes, range: range), text: bytes, range) {
                case .alias(let claim):
                    out.claims.append(claim, index: place)
                    out.aliases.append(place)
                case .event(var event, let claim):
                    if let claim { out.claims.append(claim, index: place) }
                    if event.id.isEmpty, !key.isEmpty { event.id = ByteString(key.bytes + Array("/\(place)".utf8)) }
                    builder.append(event)
                    out.index.append(place)
                }
            } catch let fault as EventFault {
                out.rejected.append((place, fault))
            } catch let error as JSONError where !error.field.isEmpty {
                out.rejected.append((place, EventFault(error.field, error.reason, "json_invalid")))
            } catch let error as JSONError {
                let at = error.offset - range.lowerBound
                out.rejected.append(
                    (place, EventFault("body", "malformed JSON at byte \(at) of the event: \(error.reason)", "json_invalid")))
            } catch {
                Issue.record("\(error)")
            }
        }
        out.batch = builder.finish()
        return out
    }

    private static func linesSlowly(_ bytes: [UInt8], key: ByteString, limit: Int) -> Result<ScannedEvents, EventBodyError> {
        var ranges: [Range<Int>] = []
        var start = ByteOrderMark.length(in: bytes)
        while start < bytes.count {
            let end = bytes[start...].firstIndex { $0 == 10 || $0 == 13 } ?? bytes.count
            defer { start = end + 1 }
            if bytes[start..<end].allSatisfy({ $0 == 32 || $0 == 9 }) { continue }
            guard ranges.count < limit else { return .failure(.tooMany(ranges.count + 1)) }
            ranges.append(start..<end)
        }
        return .success(slowly(bytes, ranges, key: key))
    }

    private static func listSlowly(_ bytes: [UInt8], key: ByteString, limit: Int) -> Result<ScannedEvents, EventBodyError> {
        do {
            return .success(slowly(bytes, try JSONElements.ranges(in: bytes, member: "events", most: limit), key: key))
        } catch {
            return .failure(error)
        }
    }

    /// Compares the two readings of a body.
    ///
    /// - Returns: how many events were taken and not taken; nil where the readings differ.
    @discardableResult
    static func compare(_ bytes: [UInt8], asList: Bool, key: ByteString = "", limit: Int = .max) -> (taken: Int, rejected: Int)? {
        let theirs = asList ? listSlowly(bytes, key: key, limit: limit) : linesSlowly(bytes, key: key, limit: limit)
        let ours = Result<ScannedEvents, EventBodyError> { () throws(EventBodyError) in
            asList
                ? try EventScanner.list(bytes, now: now, idempotencyKey: key, limit: limit)
                : try EventScanner.lines(bytes, now: now, idempotencyKey: key, limit: limit)
        }
        let same: Bool
        switch (ours, theirs) {
        case (.success(let a), .success(let b)):
            same =
                a.batch == b.batch && a.index == b.index && a.rejected.map(\.index) == b.rejected.map(\.index)
                && a.rejected.map(\.fault) == b.rejected.map(\.fault) && a.claims == b.claims && a.aliases == b.aliases
        case (.failure(let a), .failure(let b)): same = a == b
        default: same = false
        }
        guard same else {
            Issue.record("\(String(decoding: bytes.prefix(2000), as: UTF8.self))\nours \(ours)\ntheirs \(theirs)")
            return nil
        }
        guard case .success(let read) = ours else { return (0, 0) }
        return (read.batch.count, read.rejected.count)
    }
}
