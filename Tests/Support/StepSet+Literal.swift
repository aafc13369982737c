import FunnelMatch

/// Tests write sets of positions as bits.
extension StepSet: ExpressibleByIntegerLiteral {
    package init(integerLiteral bits: UInt64) { self.init(bits: bits) }
}
