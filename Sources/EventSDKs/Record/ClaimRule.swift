import FunnelModel

/// Where a product's records have a claim.
struct ClaimRule: Sendable {
    var kind = Claim.Kind.identify
    /// Names of events, or types of calls, with the claim; nil is all.
    var names: Set<ByteString>?
    var child: [MemberPlace]
    var parent: [MemberPlace]
    /// Whether a record without the claim is rejected, since it has nothing else.
    var isRequired = false
}
