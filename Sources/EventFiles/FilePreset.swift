import EventSDKs
import EventShapes
import FunnelModel

/// The export format of another product (`FILES.md` section 7): how its files are split, and what their columns and members
/// mean.
package struct FilePreset: Sendable {
    package var name: String
    /// A short description of the files.
    package var summary: String
    package var shape: EventShape
    package var table: TableFormat
    /// The product whose SDKs send such records; nil if each record is an event by `shape` alone.
    package var product: ExportedProduct?

    package static func named(_ name: String) -> FilePreset? { all.first { $0.name == name } }

    package static let all = [
        FilePreset("mixpanel-export", "Mixpanel raw export, NDJSON", .mixpanel),
        FilePreset("amplitude-export", "Amplitude export, NDJSON", .amplitude),
        FilePreset("posthog-export", "PostHog batch export, NDJSON", .posthog),
        FilePreset("posthog-csv", "PostHog events, CSV", .posthog),
        FilePreset("segment-log", "Segment or RudderStack raw calls, NDJSON", .segment), ga4BigQuery, snowplowEnriched, rees46,
        retailrocket, yoochoose, sluiceExport,
    ]

    private init(_ name: String, _ summary: String, _ fill: (inout EventShape, inout TableFormat) -> Void) {
        self.name = name
        self.summary = summary
        shape = EventShape()
        table = TableFormat()
        fill(&shape, &table)
    }

    /// The records of a product's SDKs.
    private init(_ name: String, _ summary: String, _ product: ExportedProduct) {
        self.init(name, summary) { shape, _ in
            shape = product.shape
            // PostHog's exports have the properties as text, or as columns `properties.NAME`.
            guard product == .posthog else { return }
            shape.jsonText = ["properties"]
            shape.namesMembersByPrefix = true
        }
        self.product = product
    }

    private static let sluiceExport = FilePreset("sluice-export", "what sluice export writes, NDJSON or CSV") { shape, _ in
        shape.event = ["event"]
        shape.hasClaims = true
        // CSV has the properties as text.
        shape.jsonText = ["properties"]
        shape.textColumns = ["claim", "parent"]
    }

    private static let ga4BigQuery = FilePreset("ga4-bigquery", "Google Analytics 4 in BigQuery, exported as NDJSON") { shape, _ in
        shape.user = ["user_id"]
        shape.anonymous = ["user_pseudo_id"]
        shape.event = ["event_name"]
        shape.time = ["event_timestamp"]
        shape.id = []
        shape.parameterLists = [
            .init(name: "event_params", prefix: "", wins: true), .init(name: "user_properties", prefix: "user_properties.", wins: false),
        ]
    }

    private static let snowplowEnriched = FilePreset("snowplow-enriched", "Snowplow enriched events, TSV without header") { shape, table in
        shape.anonymous = ["domain_userid", "network_userid"]
        shape.event = ["event_name", "event"]
        shape.keepsOtherEventNames = false
        shape.time = ["derived_tstamp", "collector_tstamp"]
        shape.jsonText = ["unstruct_event"]
        // Lists of any length: an event with one over the limit of a property would be rejected.
        shape.leftOut = ["contexts", "derived_contexts"]
        shape.numberColumns = [
            "geo_latitude", "geo_longitude", "se_value", "tr_total", "tr_tax", "tr_shipping", "ti_price", "tr_total_base", "tr_tax_base",
            "tr_shipping_base", "ti_price_base",
        ]
        shape.textColumns = [
            "geo_zipcode", "tr_orderid", "ti_sku", "ti_orderid", "user_ipaddress", "br_version", "os_name", "app_id", "geo_region",
            "v_tracker",
            "v_collector", "v_etl",
        ]
        table.separator = UInt8(ascii: "\t")
        table.hasQuotes = false
        table.header = .none([.init(SnowplowColumns.names)])
    }

    private static let rees46 = FilePreset("rees46", "REES46 shop events (Kaggle), CSV") { shape, _ in
        shape.event = ["event_type"]
        shape.time = ["event_time"]
        shape.id = []
        shape.numberColumns = ["price"]
    }

    private static let retailrocket = FilePreset("retailrocket", "Retailrocket events (Kaggle), CSV") { shape, _ in
        shape.user = ["visitorid"]
        shape.event = ["event"]
        shape.id = []
    }

    private static let yoochoose = FilePreset("yoochoose", "Yoochoose clicks or buys (RecSys 2015), CSV without header") { shape, table in
        shape.user = ["session"]
        shape.event = []
        shape.time = ["time"]
        shape.id = []
        shape.textColumns = ["category"]
        shape.numberColumns = ["price"]
        table.header = .none([
            .init(["session", "time", "item", "category"], event: "click"),
            .init(["session", "time", "item", "price", "quantity"], event: "buy"),
        ])
    }
}
