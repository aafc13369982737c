import ServiceRuntime

/// What `If-Match` and `If-None-Match` of a request demand of a saved funnel, another document, or the normalisation rules of a project
/// (RFC 9110 section 13.1). An entity tag is the revision in quotes.
package struct FunnelPrecondition: Equatable, Sendable {
    private enum Tags: Equatable {
        /// `*`: of anything that exists.
        case any
        /// Tags that are no revision match nothing.
        case revisions(Set<UInt64>)

        func match(_ revision: UInt64) -> Bool {
            switch self {
            case .any: revision != 0
            case .revisions(let listed): revision != 0 && listed.contains(revision)
            }
        }
    }

    private let match: Tags?
    private let noneMatch: Tags?

    /// Values of the headers; nil if the request has none.
    package init(ifMatch: String? = nil, ifNoneMatch: String? = nil) {
        match = ifMatch.map { Self.read($0, isWeak: false) }
        noneMatch = ifNoneMatch.map { Self.read($0, isWeak: true) }
    }

    /// Whether there is nothing to check.
    var isEmpty: Bool { match == nil && noneMatch == nil }

    /// What has the revision.
    package enum Subject {
        case funnel, rules
        /// Another kind, by its noun.
        case document(String)

        func state(at revision: UInt64) -> String {
            switch self {
            case .funnel: revision == 0 ? "no funnel is saved under this id" : "the funnel is at revision \(revision)"
            case .document(let noun): revision == 0 ? "no \(noun) is saved under this id" : "the \(noun) is at revision \(revision)"
            case .rules: revision == 0 ? "the project never had rules" : "the rules are at revision \(revision)"
            }
        }
    }

    /// Why a funnel, or rules, at this revision must not be changed; nil if they may. 0 means that none are saved.
    package func conflict(at revision: UInt64, of subject: Subject = .funnel) -> String? {
        let state = subject.state(at: revision)
        if let match, !match.match(revision) {
            return state + (match == .any ? ", and If-Match: * needs one" : ", which If-Match does not name")
        }
        if let noneMatch, noneMatch.match(revision) { return "\(state), and If-None-Match allows no such one" }
        return nil
    }

    /// Reads `*` or a list of entity tags. `If-None-Match` compares weakly, so that `W/"4"` is `"4"` there.
    private static func read(_ text: String, isWeak: Bool) -> Tags {
        let tags = text.split(separator: ",").map(\.trimmingSpaces)
        if tags == ["*"] { return .any }
        return .revisions(Set(tags.compactMap { revision($0, isWeak) }))
    }

    private static func revision(_ tag: Substring, _ isWeak: Bool) -> UInt64? {
        var tag = tag
        if isWeak, tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
        // Clients of 0.1 may send the number alone.
        if tag.count > 2, tag.hasPrefix("\""), tag.hasSuffix("\"") { tag = tag.dropFirst().dropLast() }
        return tag.hasPrefix("+") ? nil : UInt64(tag)
    }
}
