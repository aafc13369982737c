import FunnelModel

/// What differs between an event before and after rules, as lines of a table.
enum RuleDifference {
    /// `- NAME VALUE` was left out, `+` was added, `~` has another value.
    static func rows(_ before: Event, _ after: Event, hasServerTime: Bool) -> [String] {
        var rows: [(mark: String, name: String, text: String)] = []
        if hasServerTime { rows.append(("+", "timestamp", "\(Timestamp.format(after.time)) (the server's time)")) }
        var old: [ByteString: PropertyValue] = [:]
        for property in before.properties { old[property.key] = property.value }
        var new: [ByteString: PropertyValue] = [:]
        for property in after.properties { new[property.key] = property.value }
        for property in before.properties where new[property.key] == nil { rows.append(("-", name(property), value(property.value))) }
        for property in after.properties {
            guard let was = old[property.key] else {
                rows.append(("+", name(property), value(property.value)))
                continue
            }
            if was != property.value { rows.append(("~", name(property), "\(value(was)) → \(value(property.value))")) }
        }
        let width = min(40, rows.map(\.name.columns).max() ?? 0)
        return rows.map { "\($0.mark) \($0.name.padded(to: width))  \($0.text)" }
    }

    private static func name(_ property: Event.Property) -> String { ValueText.name(property.key.string) }

    private static func value(_ value: PropertyValue) -> String {
        let text = ValueText.row(value.json)
        return text.count > 100 ? String(text.prefix(100)) + "…" : text
    }
}
