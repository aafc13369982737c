import FunnelModel

/// Limits of the rules of one project. Errors name them.
package enum RuleLimits {
    package static let rules = 1_000
    /// Names of events, prefixes, properties and endpoints in all rules. With `events`, each pair of a property and an event counts.
    package static let entries = 10_000
    /// Bytes of the rules as JSON with every list written out.
    package static let documentBytes = Limits.ruleDocumentBytes
    /// Rules that add a property. Each may make every event larger.
    package static let defaults = 32
    /// Bytes of a text that such a rule adds.
    package static let valueBytes = 1_024
    /// Bytes of a text that a cast reads as a number.
    package static let numberBytes = 64
    /// Faults of a document that are reported one by one.
    package static let faults = 100
}
