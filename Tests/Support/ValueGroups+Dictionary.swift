import FunnelModel

extension ValueGroups {
    package init(absent: [UInt64], _ groups: [PropertyValue: [UInt64]]) {
        self.init(absent: absent, ValueTable(groups.keys), counts: groups.values.flatMap(\.self))
    }

    /// The counts by value.
    package var byValue: [PropertyValue: [UInt64]] {
        Dictionary(uniqueKeysWithValues: (0..<count).map { (value(at: $0), counts(at: $0)) })
    }
}
