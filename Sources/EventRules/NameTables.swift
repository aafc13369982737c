import FunnelModel

/// The rules about event names, as tables.
struct NameTables: Sendable {
    /// By prefix, the index in `replacements`.
    private let prefixes: PrefixTable
    private let replacements: [ByteString]
    private let lowersCase: Bool
    private let renames: NameMatcher
    /// By position of a rule that renames, the new name.
    private let names: [Int: ByteString]
    private let drops: NameMatcher

    /// What becomes of the events of one name.
    struct Outcome: Equatable {
        var name: ByteString
        /// The position of the rule that drops them.
        var dropRule: Int?
    }

    init(_ rules: [EventRule]) {
        var prefixes: [(prefix: ByteString, value: Int)] = []
        var replacements: [ByteString] = []
        var lowersCase = false
        var renames = NameMatcher()
        var names: [Int: ByteString] = [:]
        var drops = NameMatcher()
        for (i, rule) in rules.enumerated() {
            switch rule {
            case .replacePrefix(let prefix, let other):
                prefixes.append((prefix, replacements.count))
                replacements.append(other)
            case .lowerCaseEvents: lowersCase = true
            case .renameEvents(let old, let match, let name):
                renames.add(old, match, rule: i)
                names[i] = name
            case .dropEvents(let old, let match): drops.add(old, match, rule: i)
            case .renameProperties, .dropProperties, .castProperties, .defaultProperty, .missingTimestamp: break
            }
        }
        self.prefixes = PrefixTable(prefixes)
        self.replacements = replacements
        self.lowersCase = lowersCase
        self.renames = renames.sorted()
        self.names = names
        self.drops = drops.sorted()
    }

    var isEmpty: Bool { prefixes.isEmpty && !lowersCase && renames.isEmpty && drops.isEmpty }

    /// Each of the four stages changes a name at most once.
    func outcome(of given: ByteString) -> Outcome {
        guard Self.mayChange(given) else { return Outcome(name: given) }
        var name = given
        if let (length, value) = prefixes.longest(of: name.bytes) {
            Self.set(&name, ByteString(replacements[value].bytes + name.bytes.dropFirst(length)))
        }
        if lowersCase { Self.set(&name, name.lowerCased) }
        if let rule = renames.rule(for: name), let other = names[rule] { name = other }
        return Outcome(name: name, dropRule: drops.rule(for: name))
    }

    /// Profile records and rows of claims keep their names.
    private static func mayChange(_ name: ByteString) -> Bool { !EventName.isReserved(name) && !EventName.profiles.contains(name) }

    /// Sets the name, unless no event may have the new one or it is that of a profile record.
    private static func set(_ name: inout ByteString, _ new: ByteString) {
        if (1...Limits.eventNameBytes).contains(new.count), mayChange(new) { name = new }
    }
}

/// Finds the rule for a name: that of the exact name, else of the name in any case, else of its longest prefix.
struct NameMatcher: Sendable {
    private var exact: [ByteString: Int] = [:]
    private var anyCase: [ByteString: Int] = [:]
    private var unsorted: [(prefix: ByteString, value: Int)] = []
    private var prefixes = PrefixTable()

    mutating func add(_ names: [ByteString], _ match: NameMatch, rule: Int) {
        switch match {
        case .exact: for name in names { exact[name] = rule }
        case .anyCase: for name in names { anyCase[name.lowerCased] = rule }
        case .prefix: unsorted += names.map { ($0, rule) }
        }
    }

    /// The same matcher, ready for prefixes.
    consuming func sorted() -> NameMatcher {
        prefixes = PrefixTable(unsorted)
        unsorted = []
        return self
    }

    var isEmpty: Bool { exact.isEmpty && anyCase.isEmpty && prefixes.isEmpty }

    func rule(for name: ByteString) -> Int? {
        if let rule = exact[name] { return rule }
        if !anyCase.isEmpty, let rule = anyCase[name.lowerCased] { return rule }
        return prefixes.longest(of: name.bytes)?.value
    }
}
