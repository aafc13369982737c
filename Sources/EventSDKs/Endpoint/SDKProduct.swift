/// A product whose SDKs can send their events to Sluice.
package enum SDKProduct: CaseIterable, Sendable {
    /// Segment, and RudderStack, whose SDKs make the same calls.
    case segment
    case posthog, mixpanel, amplitude, snowplow, cloudEvents
}

/// A call of the Segment specification. Its first letter is the path that analytics.js uses.
package enum SegmentCall: String, CaseIterable, Sendable {
    case track, identify, page, screen, group, alias
}
