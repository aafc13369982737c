/// Event names that have a meaning of their own (`FUNNEL.md` section 1, "Profile records").
package enum EventName {
    package static let identify: ByteString = "$identify"
    package static let set: ByteString = "$set"
    package static let setOnce: ByteString = "$set_once"
    package static let groupIdentify: ByteString = "$groupidentify"

    /// Names of profile records: they say who a user is, not what the user did.
    package static let profiles: Set<ByteString> = [identify, set, setOnce, groupIdentify]

    /// The name of the rows that store claims. Names that begin with U+0000 are reserved: no event has one.
    package static func claim(_ kind: Claim.Kind) -> ByteString {
        switch kind {
        case .identify: "\u{0}identify"
        case .alias: "\u{0}alias"
        }
    }

    /// Whether no event of a client has the name, and no query sees it.
    package static func isReserved(_ name: ByteString) -> Bool { name.bytes.first == 0 }

    /// Why a client may not use a reserved name.
    package static let reservedReason = "must not begin with U+0000, which is reserved"
}

extension Sequence<ByteString> {
    /// The names that are no profile records.
    package func behaviour() -> [ByteString] { filter { !EventName.profiles.contains($0) } }
}
