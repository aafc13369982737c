import ArgumentParser

/// What generated events are about. `deploy/funnels` has a definition for each, of the same name.
enum Scenario: String, CaseIterable, ExpressibleByArgument {
    case signup
    case shop
    case leads
    case campaign

    /// - Parameter start: the first day, in microseconds since 1970.
    func traffic(seed: UInt64, start: Int64) -> any Traffic {
        switch self {
        case .signup: JourneyTraffic(.signup, seed: seed, start: start)
        case .shop: ShopTraffic(seed: seed, start: start)
        case .leads: JourneyTraffic(.leads, seed: seed, start: start)
        case .campaign: JourneyTraffic(.campaign, seed: seed, start: start)
        }
    }
}
