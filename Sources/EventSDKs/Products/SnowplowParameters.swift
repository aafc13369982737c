import FunnelModel

/// The parameters of Snowplow's tracker protocol by the names of the columns that they fill in enriched events, so that a file of
/// these (`snowplow-enriched`) and a tracker give the same properties. Other parameters keep their names.
enum SnowplowParameters {
    enum Kind: Sendable {
        case text(ByteString)
        /// A number, sent as text.
        case number(ByteString)
        /// `WIDTHxHEIGHT`.
        case size(ByteString, ByteString)
    }

    static let columns: [ByteString: Kind] = [
        // Any event
        "tna": .text("name_tracker"), "aid": .text("app_id"), "p": .text("platform"), "tv": .text("v_tracker"),
        "ip": .text("user_ipaddress"), "ua": .text("useragent"), "fp": .text("user_fingerprint"), "lang": .text("br_lang"),
        "tz": .text("os_timezone"), "vid": .number("domain_sessionidx"), "sid": .text("domain_sessionid"), "res": screen,
        "vp": .size("br_viewwidth", "br_viewheight"), "ds": .size("doc_width", "doc_height"), "cs": .text("doc_charset"),
        "cd": .text("br_colordepth"), "cookie": .text("br_cookies"), "tid": .text("txn_id"),
        // A page
        "url": .text("page_url"), "page": .text("page_title"), "refr": .text("page_referrer"),
        "pp_mix": .number("pp_xoffset_min"), "pp_max": .number("pp_xoffset_max"),
        "pp_miy": .number("pp_yoffset_min"), "pp_may": .number("pp_yoffset_max"),
        // A structured event
        "se_ca": .text("se_category"), "se_ac": .text("se_action"), "se_la": .text("se_label"), "se_pr": .text("se_property"),
        "se_va": .number("se_value"),
        // A transaction and its items
        "tr_id": .text("tr_orderid"), "tr_af": .text("tr_affiliation"), "tr_tt": .number("tr_total"), "tr_tx": .number("tr_tax"),
        "tr_sh": .number("tr_shipping"), "tr_ci": .text("tr_city"), "tr_st": .text("tr_state"), "tr_co": .text("tr_country"),
        "tr_cu": .text("tr_currency"), "ti_id": .text("ti_orderid"), "ti_sk": .text("ti_sku"), "ti_nm": .text("ti_name"),
        "ti_ca": .text("ti_category"), "ti_pr": .number("ti_price"), "ti_qu": .number("ti_quantity"), "ti_cu": .text("ti_currency"),
    ]

    private static let screen = Kind.size("dvce_screenwidth", "dvce_screenheight")

    /// A parameter as properties.
    static func properties(_ parameter: JSONValue.Member) -> [JSONValue.Member] {
        switch columns[parameter.key] {
        case nil: return [parameter]
        case .text(let name): return [.init(name, parameter.value)]
        case .number(let name): return [.init(name, number(parameter.value))]
        case .size(let width, let height):
            let parts = parameter.value.asString?.bytes.split(separator: UInt8(ascii: "x"), omittingEmptySubsequences: false) ?? []
            guard parts.count == 2 else { return [parameter] }
            return zip([width, height], parts).map { .init($0, number(.string(ByteString($1)))) }
        }
    }

    /// The number in a text; the text itself if it is none.
    private static func number(_ value: JSONValue) -> JSONValue {
        guard let text = value.asString, text.count <= 40, let number = try? JSONParser.parse(text.bytes), number.asDouble?.isFinite == true
        else { return value }
        return number
    }
}
