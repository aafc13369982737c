import FunnelModel

/// A request of an SDK. The caller has undone the content encoding of the body.
package struct SDKRequest: Sendable {
    package var method: SDKEndpoint.Method
    /// Without the query.
    package var path: String
    /// The text after `?`, as it came.
    package var query: String
    /// Names in lower case.
    package private(set) var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(
        _ method: SDKEndpoint.Method, _ path: String, query: String = "", headers: [(name: String, value: String)] = [],
        body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers.map { ($0.name.lowercased(), $0.value) }
        self.body = body
    }

    /// The value of the first header field with a name in lower case.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// The media type in lower case, without parameters; empty if there is none.
    var contentType: String {
        let type = header("content-type")?.prefix { $0 != ";" && $0 != " " } ?? ""
        return type.lowercased()
    }

    /// The credentials of the `Authorization` field, if it has this scheme.
    func credentials(_ scheme: String) -> String? {
        guard let parts = header("authorization")?.split(separator: " ", maxSplits: 1), parts.count == 2,
            parts[0].lowercased() == scheme
        else { return nil }
        return String(parts[1])
    }

    var queryFields: FormFields { FormFields(Array(query.utf8)) }

    /// The decoded value of a query parameter; nil if there is none, or it cannot be decoded.
    func queryValue(_ name: String) -> ByteString? { queryFields.value(name).map { ByteString($0) } }
}
