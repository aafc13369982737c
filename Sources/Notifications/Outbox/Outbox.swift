import FunnelModel

/// Notices that have to be delivered, and those taken before, as a value. Its owner stores it after each change and before each
/// delivery: then every notice that was taken is delivered at least once, across restarts too.
package struct Outbox: Equatable, Sendable {
    /// A notice for one channel.
    package struct Entry: Equatable, Sendable {
        /// Of this outbox in memory; another one after a restart.
        package fileprivate(set) var id: UInt64
        package let channel: String
        package let notice: Notice
        /// Whether it is sent again after a success, until it is resolved.
        package let isRepeated: Bool
        /// When it was taken or last delivered, in microseconds since 1970.
        package fileprivate(set) var since: Int64
        /// Attempts since then.
        package fileprivate(set) var attempts: Int
        /// Microseconds since 1970.
        package fileprivate(set) var nextAttempt: Int64
        /// Why the last attempt failed.
        package fileprivate(set) var reason: String?
        /// Bytes as JSON, with room for a reason.
        fileprivate let bytes: Int

        fileprivate init(
            id: UInt64, channel: String, notice: Notice, isRepeated: Bool, since: Int64, attempts: Int, nextAttempt: Int64, reason: String?
        ) {
            self.id = id
            self.channel = channel
            self.notice = notice
            self.isRepeated = isRepeated
            self.since = since
            self.attempts = attempts
            self.nextAttempt = nextAttempt
            self.reason = reason
            bytes = notice.stored.encode().count + channel.utf8.count + 2 * NoticeLimits.reasonBytes + 150
        }
    }

    /// What became of an entry after an attempt.
    package enum Fate: Equatable, Sendable {
        case delivered
        case retried(at: Int64)
        /// It left the outbox without a delivery.
        case lost(String)
        /// It left the outbox during the attempt.
        case gone
    }

    /// In the order in which they were taken.
    package private(set) var entries: [Entry] = []
    /// Hashes of channel and notice of deliveries that were taken, the oldest first.
    private var remembered: [UInt64] = []
    private var known: Set<UInt64> = []
    private var nextID: UInt64 = 1

    package init() {}

    /// The pause between two deliveries of a notice that fires to a channel that wants it repeated.
    package static let repeatMicroseconds: Int64 = 60_000_000
    /// A notice that was not delivered for this long is lost.
    package static let ageMicroseconds: Int64 = 86_400_000_000
    package static let retryAfterSecondsMax: Int64 = 3_600
    private static let firstDelay: Int64 = 5_000_000
    private static let delayMax: Int64 = 900_000_000

    // MARK: - Taking

    /// Takes a notice for a channel, unless it took the same one before. What resolves a notice that is repeated takes its place.
    /// - Returns: entries that had to leave because a limit is reached: the oldest ones of the channel with the most bytes.
    package mutating func add(_ notice: Notice, to channel: Channel, now: Int64) -> [Entry] {
        let hash = Self.hash(channel.id, notice)
        guard known.insert(hash).inserted else { return [] }
        remembered.append(hash)
        if remembered.count > NoticeLimits.rememberedDeliveries { known.remove(remembered.removeFirst()) }
        if notice.status == .resolved {
            entries.removeAll { $0.isRepeated && $0.channel == channel.id && $0.notice.key == notice.key }
        }
        entries.append(
            Entry(
                id: nextID, channel: channel.id, notice: notice, isRepeated: channel.repeatsWhileFiring && notice.status == .firing,
                since: now, attempts: 0, nextAttempt: now, reason: nil))
        nextID += 1
        return shrink()
    }

    private static func hash(_ channel: String, _ notice: Notice) -> UInt64 { XXH64.hash(Array("\(channel)\0\(notice.id)".utf8)) }

    private mutating func shrink() -> [Entry] {
        var removed: [Entry] = []
        while entries.count > NoticeLimits.outboxEntries || entries.reduce(0, { $0 + $1.bytes }) > NoticeLimits.outboxBytes {
            var bytes: [String: Int] = [:]
            for entry in entries { bytes[entry.channel, default: 0] += entry.bytes }
            let heaviest = bytes.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key
            guard let place = entries.firstIndex(where: { $0.channel == heaviest }) else { break }
            removed.append(entries.remove(at: place))
        }
        return removed
    }

    /// Forgets what waits for a channel that is deleted.
    package mutating func remove(channel: String) { entries.removeAll { $0.channel == channel } }

    // MARK: - Delivering

    /// The entries to deliver now: of each channel and key only the first one, so that nothing is resolved before it fires.
    package func due(now: Int64) -> [Entry] {
        var seen: Set<[String]> = []
        return entries.filter { seen.insert([$0.channel, $0.notice.key]).inserted && $0.nextAttempt <= now }
    }

    /// When an entry is due next, in microseconds since 1970; nil: the outbox is empty.
    package var nextAttempt: Int64? {
        var seen: Set<[String]> = []
        return entries.lazy.filter { seen.insert([$0.channel, $0.notice.key]).inserted }.map(\.nextAttempt).min()
    }

    /// Notes how the attempt to deliver an entry ended.
    /// - Parameter jitter: random, from 0 to 1; spreads the retries of channels that failed at once.
    package mutating func receive(_ outcome: DeliveryOutcome, for id: UInt64, now: Int64, jitter: Double) -> Fate {
        guard let place = entries.firstIndex(where: { $0.id == id }) else { return .gone }
        switch outcome {
        case .delivered:
            if entries[place].isRepeated {
                entries[place].since = now
                entries[place].attempts = 0
                entries[place].nextAttempt = now + Self.repeatMicroseconds
                entries[place].reason = nil
            } else {
                entries.remove(at: place)
            }
            return .delivered
        case .refused(let reason):
            entries.remove(at: place)
            return .lost(reason.cut(toBytes: NoticeLimits.reasonBytes))
        case .failed(let reason, let after):
            let reason = reason.cut(toBytes: NoticeLimits.reasonBytes)
            entries[place].attempts += 1
            entries[place].reason = reason
            let asked = min(max(after ?? 0, 0), Self.retryAfterSecondsMax) * 1_000_000
            let next = now + max(asked, Self.delay(attempts: entries[place].attempts, jitter: jitter))
            guard next - entries[place].since <= Self.ageMicroseconds else {
                let entry = entries.remove(at: place)
                return .lost("given up after \(entry.attempts) attempts in 24 hours; the last one: \(reason)")
            }
            entries[place].nextAttempt = next
            return .retried(at: next)
        }
    }

    /// The pause after failed attempts: 5 s, doubled with each attempt up to 15 min, of which `jitter` takes away up to a half.
    package static func delay(attempts: Int, jitter: Double) -> Int64 {
        let doubled = firstDelay << Int64(min(max(attempts, 1) - 1, 8))
        let share = 0.5 + 0.5 * (jitter.isFinite ? min(max(jitter, 0), 1) : 1)
        return Int64(Double(min(doubled, delayMax)) * share)
    }
}

// MARK: - JSON

extension Outbox {
    /// At most 512 KiB, to be read by `init(parsing:)`.
    package var json: JSONValue {
        [
            "version": 1, "remembered": .array(remembered.map { .text(String($0, radix: 16)) }),
            "entries": .array(
                entries.map { entry in
                    [
                        "channel": .text(entry.channel), "notice": entry.notice.stored, "repeated": .bool(entry.isRepeated),
                        "since": .integer(entry.since), "attempts": .count(entry.attempts), "next": .integer(entry.nextAttempt),
                        "reason": entry.reason.map { .text($0) } ?? .null,
                    ]
                }),
        ]
    }

    /// Reads a stored outbox. An entry of another form is a fault: to leave it out would lose a notice.
    package init(parsing bytes: [UInt8]) throws(InvalidDocument) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parse(bytes)
        } catch {
            throw InvalidDocument([FieldFault("outbox", "\(error)")])
        }
        guard document["version"] == 1, let hashes = document["remembered"]?.asArray, let values = document["entries"]?.asArray else {
            throw InvalidDocument([FieldFault("outbox", "has another form than this release reads")])
        }
        for hash in hashes.suffix(NoticeLimits.rememberedDeliveries) {
            guard let hash = hash.asString.flatMap({ UInt64($0.string, radix: 16) }), known.insert(hash).inserted else { continue }
            remembered.append(hash)
        }
        for (i, value) in values.enumerated() {
            guard let channel = value["channel"]?.asString, let notice = value["notice"].flatMap({ Notice($0) }),
                let isRepeated = value["repeated"]?.asBool, let since = value["since"]?.asInteger,
                let attempts = value["attempts"]?.asInteger.flatMap({ Int32(exactly: $0) }), attempts >= 0,
                let next = value["next"]?.asInteger
            else { throw InvalidDocument([FieldFault("outbox.entries[\(i)]", "has another form than this release reads")]) }
            entries.append(
                Entry(
                    id: nextID, channel: channel.string, notice: notice, isRepeated: isRepeated, since: since, attempts: Int(attempts),
                    nextAttempt: next, reason: value["reason"]?.asString?.string))
            nextID += 1
        }
        _ = shrink()
    }
}
