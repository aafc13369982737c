/// A split of a funnel's users by a property of their chosen attempt (`FUNNEL.md` section 6, "Breakdown").
package struct Breakdown: Equatable, Sendable {
    /// Which event of the chosen attempt gives the value.
    package enum Touch: Equatable, Sendable {
        /// The event of the first step, in step order, whose event has the property.
        case first
        /// That of the last such step.
        case last
        /// That of this step, 1-based; no value if the user did not do it.
        case step(Int)
    }

    package var property: ByteString
    package var touch: Touch

    package init(property: ByteString, touch: Touch) {
        self.property = property
        self.touch = touch
    }
}

/// A split of an experiment's users by the property that names their variant (`FUNNEL.md` section 6, "Experiments").
package struct VariantSplit: Equatable, Sendable {
    package enum Exposure: Equatable, Sendable {
        /// The earliest event in the range that may start an attempt and has the property.
        case first
        /// The event of the chosen attempt that a breakdown with this touch would read.
        case attempt(Breakdown.Touch)
    }

    package var property: ByteString
    package var exposure: Exposure

    package init(property: ByteString, exposure: Exposure) {
        self.property = property
        self.exposure = exposure
    }
}

extension Breakdown.Touch {
    /// As queries write it: `first`, `last` or `step:2`.
    package var text: String {
        switch self {
        case .first: "first"
        case .last: "last"
        case .step(let number): "step:\(number)"
        }
    }

    /// Nil if the text is none of these, or the step is not from 1 to `Limits.stepsPerFunnel`.
    package init?(text: ByteString) {
        switch text {
        case "first": self = .first
        case "last": self = .last
        default:
            let digits = text.bytes.dropFirst(5)
            guard text.bytes.starts(with: "step:".utf8), digits.first != UInt8(ascii: "0"),
                digits.allSatisfy({ (48...57).contains($0) }),
                let number = Int(String(decoding: digits, as: UTF8.self)), (1...Limits.stepsPerFunnel).contains(number)
            else { return nil }
            self = .step(number)
        }
    }
}
