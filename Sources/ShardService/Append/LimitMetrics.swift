import EventStorage
import FunnelModel
import ServiceRuntime

extension StoreMetrics {
    /// Metrics of the limits of projects. Labels are fixed reasons, never names.
    static func addLimits(to metrics: Metrics, store: @escaping @Sendable () -> ShardStore<POSIXFileSystem>?) {
        func ratio(_ name: String, _ help: String, _ read: @escaping @Sendable (StoreStats, StoreOptions) -> (count: Int, most: Int)) {
            metrics.gauge(name, help) {
                guard let store = store() else { return 0 }
                let (count, most) = read(store.stats, store.options)
                return Double(count) / Double(max(1, most))
            }
        }
        ratio(
            "sluice_store_event_names_max_used_ratio",
            "event names of the project with the most on this shard, divided by event-names-max; at 1, events with new ones are rejected"
        ) { ($0.mostEventNames, $1.eventNamesMax) }
        ratio(
            "sluice_store_property_keys_max_used_ratio",
            "property keys of the project with the most on this shard, divided by property-keys-max; at 1, new ones are left out"
        ) { ($0.mostPropertyKeys, $1.propertyKeysMax) }
        metrics.counter("sluice_store_properties_left_out_total", "properties left out of stored rows, since their keys are over a limit") {
            Double(store()?.stats.propertiesLeftOut ?? 0)
        }
        for code in RejectedRow.Code.allCases {
            guard let reason = code.metricReason else { continue }
            metrics.counter(
                "sluice_store_rows_rejected_total", "rows rejected for a limit of their project, by limit", labels: [("reason", reason)]
            ) {
                Double(store()?.stats.rejectedRows[code] ?? 0)
            }
        }
    }
}

extension RejectedRow.Code {
    /// Nil for codes that are not counted here: they no longer occur, or ingest found them.
    fileprivate var metricReason: String? {
        switch self {
        case .tooManyEventNames: "event_names_max"
        case .eventNamesTooFast: "event_names_rate"
        case .tooManyUsers: "users_per_bucket_max"
        case .tooManyPropertyKeys, .timeAhead: nil
        }
    }

    /// The reason in the client's answer; it begins with the limit's name.
    package func reason(_ options: StoreOptions) -> String {
        switch self {
        case .tooManyEventNames: "event_names_max: the project has \(options.eventNamesMax) event names on this shard"
        case .eventNamesTooFast:
            "event_names_rate: the project has had \(options.newNamesPerHour) new event names on this shard within an hour; send the event later, or with an admin key"
        case .tooManyPropertyKeys: "property_keys_max: the project has \(options.propertyKeysMax) property keys on this shard"
        case .timeAhead: EventFault.tooFarAhead.reason
        case .tooManyUsers: "users_per_bucket_max: a bucket of the project holds \(options.usersPerBucketMax) users"
        }
    }
}
