import FunnelModel

/// A length of time in ticks of a funnel's clock: seconds or microseconds.
package struct Ticks: Hashable, Sendable {
    package let count: Int64

    package init(_ count: Int64) { self.count = count }

    package init(_ length: Microseconds, of clock: FunnelDefinition.Clock) { count = length.count / clock.tick.count }
}
