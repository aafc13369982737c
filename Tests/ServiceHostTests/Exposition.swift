/// Prometheus' text format 0.0.4, read strictly: what a scraper refuses, or takes for something else than was meant, is a fault.
///
/// Source: "Exposition formats" of the Prometheus documentation, text-based format.
struct Exposition {
    struct Series: Hashable {
        var name: String
        var labels: [String: String] = [:]
    }

    struct Family {
        var help: String
        var type: String
        /// In the order of the text.
        var samples: [(series: Series, value: Double)] = []
    }

    struct Fault: Error, CustomStringConvertible {
        var line: Int
        var reason: String
        var description: String { "line \(line): \(reason)" }
    }

    private(set) var families: [String: Family] = [:]

    subscript(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        let wanted = Series(name: name, labels: labels)
        return families.values.lazy.flatMap(\.samples).first { $0.series == wanted }?.value
    }

    init(_ text: String) throws(Fault) {
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard let last = lines.last, last.isEmpty else { throw Fault(line: lines.count, reason: "no line feed at the end") }
        var help: [String: String] = [:]
        var family = ""
        var seen: Set<Series> = []
        for (i, bytes) in lines.dropLast().enumerated() {
            var line = LineReader(bytes: Array(bytes), number: i + 1)
            if line.takes("# HELP ") {
                let name = try line.name()
                guard help[name] == nil else { throw line.fault("a second HELP of \(name)") }
                help[name] = try line.takes(" ") ? line.helpText() : ""
            } else if line.takes("# TYPE ") {
                family = try line.name()
                guard families[family] == nil else { throw line.fault("a second TYPE of \(family)") }
                // A metric without its text is one that nobody knows the meaning of.
                guard let help = help[family] else { throw line.fault("no HELP of \(family)") }
                try line.expect(" ")
                families[family] = Family(help: help, type: try line.type())
            } else {
                let (series, value) = try line.sample()
                guard let type = families[family]?.type, Self.names(family, type).contains(series.name) else {
                    throw line.fault("\(series.name) is not of \(family)")
                }
                guard seen.insert(series).inserted else { throw line.fault("\(series) is there twice") }
                families[family]?.samples.append((series, value))
            }
        }
        guard help.keys.allSatisfy({ families[$0] != nil }) else { throw Fault(line: lines.count, reason: "HELP without TYPE") }
    }

    private static func names(_ family: String, _ type: String) -> [String] {
        type == "histogram" ? ["_bucket", "_sum", "_count"].map { family + $0 } : [family]
    }

    /// What the format takes and Prometheus' conventions don't; empty where all is well.
    var breaches: [String] {
        families.sorted { $0.key < $1.key }.flatMap { name, family -> [String] in
            var found: [String] = []
            if (family.type == "counter") != name.hasSuffix("_total") { found.append("\(name) is a \(family.type)") }
            if family.help.isEmpty { found.append("\(name) has no help") }
            if family.type == "histogram" { found += Self.breaches(ofHistogram: name, family) }
            if family.type == "counter", family.samples.contains(where: { !($0.value >= 0) }) { found.append("\(name) is below 0") }
            return found
        }
    }

    private static func breaches(ofHistogram name: String, _ family: Family) -> [String] {
        let byLabels = Dictionary(grouping: family.samples) { $0.series.labels.filter { $0.key != "le" } }
        return byLabels.flatMap { labels, samples -> [String] in
            let buckets = samples.filter { $0.series.name == name + "_bucket" }
            let bounds = buckets.map { number($0.series.labels["le"] ?? "") ?? .nan }
            let counts = buckets.map(\.value)
            let sums = samples.filter { $0.series.name == name + "_sum" }
            let totals = samples.filter { $0.series.name == name + "_count" }
            var found: [String] = []
            if bounds.last != .infinity || !zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 }) { found.append("bounds \(bounds)") }
            if !zip(counts, counts.dropFirst()).allSatisfy({ $0 <= $1 }) { found.append("counts \(counts) are not cumulative") }
            if totals.map(\.value) != Array(counts.suffix(1)) {
                found.append("+Inf is \(counts.last ?? .nan), the count \(totals.map(\.value))")
            }
            if sums.count != 1 || !(sums[0].value >= 0) { found.append("sums \(sums.map(\.value))") }
            return found.map { "\(name)\(labels): \($0)" }
        }
    }

    /// A number of the format, which is one of Go's.
    static func number(_ text: String) -> Double? {
        switch text {
        case "NaN": return .nan
        case "+Inf": return .infinity
        case "-Inf": return -.infinity
        default: return text.utf8.allSatisfy { (48...57).contains($0) || "+-.e".utf8.contains($0) } ? Double(text) : nil
        }
    }
}

/// A cursor over the bytes of one line.
private struct LineReader {
    let bytes: [UInt8]
    let number: Int
    private var at = 0

    init(bytes: [UInt8], number: Int) {
        self.bytes = bytes
        self.number = number
    }

    func fault(_ reason: String) -> Exposition.Fault { Exposition.Fault(line: number, reason: "\(reason), at byte \(at)") }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    mutating func takes(_ text: String) -> Bool {
        guard bytes[at...].starts(with: text.utf8) else { return false }
        at += text.utf8.count
        return true
    }

    mutating func expect(_ text: String) throws(Exposition.Fault) {
        if !takes(text) { throw fault("expected \"\(text)\"") }
    }

    /// A name of a metric, or with `isLabel` of a label, which may have no colons.
    mutating func name(isLabel: Bool = false) throws(Exposition.Fault) -> String {
        let start = at
        while let byte = next {
            let isLetter = (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
            let isDigit = (48...57).contains(byte) && at > start
            guard isLetter || isDigit || byte == UInt8(ascii: ":") && !isLabel else { break }
            at += 1
        }
        guard at > start else { throw fault("expected a name") }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    mutating func type() throws(Exposition.Fault) -> String {
        let type = rest()
        guard ["counter", "gauge", "histogram", "summary", "untyped"].contains(type) else { throw fault("type \(type) is unknown") }
        return type
    }

    mutating func helpText() throws(Exposition.Fault) -> String { try unescaped(until: nil, known: ["\\": "\\", "n": "\n"]) }

    mutating func sample() throws(Exposition.Fault) -> (series: Exposition.Series, value: Double) {
        var series = Exposition.Series(name: try name())
        if takes("{") {
            while !takes("}") {
                let label = try name(isLabel: true)
                try expect("=\"")
                let value = try unescaped(until: UInt8(ascii: "\""), known: ["\\": "\\", "n": "\n", "\"": "\""])
                guard series.labels.updateValue(value, forKey: label) == nil else { throw fault("label \(label) is there twice") }
                if !takes(",") {
                    try expect("}")
                    break
                }
            }
        }
        try expect(" ")
        let text = rest()
        guard let value = Exposition.number(text) else { throw fault("\"\(text)\" is no number") }
        return (series, value)
    }

    private mutating func rest() -> String {
        defer { at = bytes.count }
        return String(decoding: bytes[at...], as: UTF8.self)
    }

    /// - Parameter end: what ends the text, and is passed; nil for the end of the line.
    private mutating func unescaped(until end: UInt8?, known: [Character: Character]) throws(Exposition.Fault) -> String {
        var out: [UInt8] = []
        while let byte = next, byte != end {
            at += 1
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                continue
            }
            guard let letter = next, let meant = known[Character(Unicode.Scalar(letter))] else { throw fault("an unknown escape") }
            at += 1
            out += Array("\(meant)".utf8)
        }
        if end != nil {
            guard next != nil else { throw fault("a text without an end") }
            at += 1
        }
        guard let text = String(validating: out, as: UTF8.self) else { throw fault("not UTF-8") }
        return text
    }
}
