/// Named rule sets of other systems, versioned. A preset fills the fields that the definition leaves out.
package enum Preset: String, CaseIterable, Sendable {
    case sluice1 = "sluice/1"
    case mparticleSequential1 = "mparticle-sequential/1"
    case mparticleFlexible1 = "mparticle-flexible/1"
    case mixpanelUnique1 = "mixpanel-unique/1"
    case mixpanelTotals1 = "mixpanel-totals/1"
    case amplitude1 = "amplitude/1"
    case posthog1 = "posthog/1"
    case clickhouseDefault1 = "clickhouse-default/1"
    case clickhouseStrictIncrease1 = "clickhouse-strict_increase/1"

    func apply(to definition: inout FunnelDefinition) {
        switch self {
        case .sluice1, .mparticleSequential1: break
        case .mparticleFlexible1: definition.order = .flexible(limit: 86_400_000_000)
        case .mixpanelUnique1:
            definition.order = .flexible(limit: 2_000_000)
            definition.entry = .first
        case .mixpanelTotals1:
            definition.order = .flexible(limit: 2_000_000)
            definition.countBy = .attempts
        case .amplitude1: definition.order = .flexible(limit: 1_000_000)
        case .posthog1, .clickhouseDefault1:
            definition.order = .flexible(limit: 1)
            definition.clock = .microsecond
        case .clickhouseStrictIncrease1: definition.clock = .microsecond
        }
    }
}

extension Preset {
    /// The effect of an exclusion that names none.
    var exclusionEffect: FunnelDefinition.Exclusion.Effect { self == .posthog1 ? .dropUser : .endAttempt }
}
