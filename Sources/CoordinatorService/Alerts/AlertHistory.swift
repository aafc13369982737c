import FunnelAlerts
import FunnelModel

/// What happened to a rule: when it began and ended to fire, and when it could not be evaluated. The oldest entries leave after 90 days, or
/// when there are too many.
struct AlertHistory: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        /// `firing`, `resolved` or `invalid`.
        var kind: String
        var group: AlertGroup
        /// End of the period with which it began, microseconds since 1970.
        var time: Int64
        var value: Double?
        var baseline: Double?
        var text: String
    }

    static let keptMicroseconds: Int64 = 90 * 86_400_000_000
    /// An entry has at most 1,750 bytes, if every character of its texts is escaped, so that the value stays below 512 KiB.
    static let entriesMax = 290

    private(set) var entries: [Entry] = []

    init() {}

    /// Adds what changed between two states.
    mutating func add(from before: AlertState, to after: AlertState, now: Int64) {
        for key in Set(before.groups.keys).union(after.groups.keys).sorted() {
            let (old, new) = (before.groups[key], after.groups[key])
            let (began, begins) = (old?.firingSince, new?.firingSince)
            guard began != begins else { continue }
            if began != nil {
                let end =
                    new.map { $0.status == .resolved ? $0.since : max($0.since, after.evaluated ?? $0.since) } ?? after.evaluated ?? now
                entries.append(
                    Entry(kind: "resolved", group: key, time: end, value: new?.value, baseline: new?.baseline, text: new?.text ?? ""))
            }
            if let begins, let new {
                entries.append(Entry(kind: "firing", group: key, time: begins, value: new.value, baseline: new.baseline, text: new.text))
            }
        }
        if let fault = after.fault, before.fault == nil {
            entries.append(Entry(kind: "invalid", group: .whole, time: fault.since, text: "It " + fault.reason + "."))
        }
        let first = entries.firstIndex { now - $0.time <= Self.keptMicroseconds } ?? entries.count
        entries.removeFirst(max(first, entries.count - Self.entriesMax))
    }

    // MARK: - JSON

    /// The oldest first.
    var json: JSONValue {
        .array(
            entries.map { entry in
                [
                    "kind": .text(entry.kind), "group": entry.group.json, "at": .text(Timestamp.format(entry.time)),
                    "value": .optional(entry.value), "baseline": .optional(entry.baseline), "text": .text(entry.text),
                ]
            })
    }

    /// Reads what `json` wrote. Entries of another form are left out: they are no more than memories.
    init(_ value: JSONValue) {
        entries = (value.asArray ?? []).compactMap { entry in
            guard let kind = entry["kind"]?.asString, let text = entry["text"]?.asString,
                let time = entry["at"]?.asString.flatMap({ try? Timestamp.parse($0) })
            else { return nil }
            return Entry(
                kind: kind.string, group: entry["group"]?.asString.map { AlertGroup(text: $0) } ?? .whole, time: time,
                value: entry["value"]?.asDouble, baseline: entry["baseline"]?.asDouble, text: text.string)
        }
    }
}

extension AlertState.Group {
    fileprivate var firingSince: Int64? { status == .firing ? since : nil }
}
