/// The users of one row of a breakdown: those with one value.
package struct UserGroup: Equatable, Sendable {
    package var breakdown: Breakdown
    /// `canonical`; nil is the row of the users without a value.
    package var value: PropertyValue?

    package init(_ breakdown: Breakdown, value: PropertyValue?) {
        self.breakdown = breakdown
        self.value = value?.canonical
    }
}
