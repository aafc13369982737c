import FunnelModel

/// A message for channels: something fires or is resolved, with the numbers that say why.
package struct Notice: Equatable, Sendable {
    package enum Status: String, CaseIterable, Sendable {
        case firing, resolved
        /// Said once: nothing fires, and nothing will be resolved.
        case info
    }

    package struct Number: Equatable, Sendable {
        package var name: String
        package var value: Double

        package init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }

    /// What fires since when, such as rule, group and start. Equal in the notice that resolves it.
    package let key: String
    /// Id of the rule or report that the notice comes from.
    package let rule: String
    package let project: UInt32
    /// One line.
    package let title: String
    /// May have several lines; empty if the title says all.
    package let text: String
    package let numbers: [Number]
    /// A page with more about it: an absolute `http` or `https` URL.
    package let link: String?
    package let status: Status
    /// Microseconds since 1970.
    package let starts: Int64
    /// Microseconds since 1970; nil while it fires.
    package let ends: Int64?
    /// Where its `NoticeContent` is kept; nil: it has none.
    package let content: String?

    /// Identifies the message: equal for each delivery and each attempt of it.
    package var id: String { "\(key)/\(status.rawValue)" }

    /// Texts beyond `NoticeLimits` are cut, numbers that are not finite and a link of another form are left out. A key that is too
    /// long ends in its hash, so that two of them stay different.
    package init(
        key: String, rule: String, project: UInt32, title: String, text: String = "", numbers: [Number] = [], link: String? = nil,
        status: Status = .firing, starts: Int64, ends: Int64? = nil, content: String? = nil
    ) {
        self.key = Self.key(key)
        self.rule = rule.printable.cut(toBytes: NoticeLimits.keyBytes)
        self.project = project
        self.title = title.printable.cut(toBytes: NoticeLimits.titleBytes)
        self.text = Self.lines(text).cut(toBytes: NoticeLimits.textBytes)
        self.numbers = numbers.lazy.filter(\.value.isFinite).prefix(NoticeLimits.numbers).map {
            Number($0.name.printable.cut(toBytes: NoticeLimits.numberNameBytes), $0.value)
        }
        self.link = link.flatMap(Self.link)
        self.status = status
        self.starts = starts
        self.ends = ends
        self.content = content
    }

    private static func key(_ text: String) -> String {
        let key = text.printable
        guard key.utf8.count > NoticeLimits.keyBytes else { return key }
        let hash = Hex.text(withUnsafeBytes(of: XXH64.hash(Array(key.utf8)).bigEndian) { Array($0) })
        return key.cut(toBytes: NoticeLimits.keyBytes - hash.utf8.count - 1) + "-" + hash
    }

    /// The text with line feeds as its only control characters.
    private static func lines(_ text: String) -> String {
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
        return lines.map { String($0).printable }.joined(separator: "\n")
    }

    private static func link(_ text: String) -> String? {
        guard text.utf8.count <= NoticeLimits.linkBytes, text.hasPrefix("https://") || text.hasPrefix("http://"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Array("\"<>\\^`{|}".utf8).contains($0) })
        else { return nil }
        return text
    }
}

extension String {
    /// The longest beginning of at most this many bytes of UTF-8, with `…` in place of what is left out.
    func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var kept = String.UnicodeScalarView()
        var bytes = "…".utf8.count
        for scalar in unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > limit { break }
            kept.append(scalar)
        }
        return String(kept) + "…"
    }
}

// MARK: - JSON

extension Notice {
    /// As the outbox keeps it.
    package var stored: JSONValue {
        guard let content else { return json }
        return .object((json.asObject ?? []) + [.init("content", .text(content))])
    }

    /// As receivers get it.
    package var json: JSONValue {
        .object([
            .init("id", .text(id)), .init("key", .text(key)), .init("rule", .text(rule)), .init("project", .integer(Int64(project))),
            .init("status", .text(status.rawValue)), .init("title", .text(title)), .init("text", .text(text)),
            .init("numbers", .array(numbers.map { ["name": .text($0.name), "value": .double($0.value)] })),
            .init("link", link.map { .text($0) } ?? .null), .init("starts", .text(Timestamp.format(starts))),
            .init("ends", ends.map { .text(Timestamp.format($0)) } ?? .null),
        ])
    }

    /// Reads what `stored` wrote; nil if it has another form.
    package init?(_ value: JSONValue) {
        guard let key = value["key"]?.asString, let rule = value["rule"]?.asString,
            let project = value["project"]?.asInteger.flatMap({ UInt32(exactly: $0) }),
            let status = value["status"]?.asString.flatMap({ Status(rawValue: $0.string) }), let title = value["title"]?.asString,
            let text = value["text"]?.asString, let numbers = value["numbers"]?.asArray,
            let starts = value["starts"]?.asString.flatMap({ try? Timestamp.parse($0) })
        else { return nil }
        self.init(
            key: key.string, rule: rule.string, project: project, title: title.string, text: text.string,
            numbers: numbers.compactMap { number in
                guard let name = number["name"]?.asString, let value = number["value"]?.asDouble else { return nil }
                return Number(name.string, value)
            },
            link: value["link"]?.asString?.string, status: status, starts: starts,
            ends: value["ends"]?.asString.flatMap { try? Timestamp.parse($0) }, content: value["content"]?.asString?.string)
    }
}

extension Notice.Number {
    /// The value with at most four decimals, without an exponent.
    var text: String {
        guard abs(value) < 1e15 else { return "\(value)" }
        let scaled = (abs(value) * 10_000).rounded()
        guard scaled < 9e18 else { return "\(Int64(value))" }
        let units = Int64(scaled)
        var text = "\(units / 10_000)"
        let digits = String(units % 10_000)
        var decimals = String(repeating: "0", count: 4 - digits.count) + digits
        while decimals.hasSuffix("0") { decimals.removeLast() }
        if !decimals.isEmpty { text += "." + decimals }
        return value < 0 && units > 0 ? "-" + text : text
    }
}
