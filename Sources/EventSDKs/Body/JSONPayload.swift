import FunnelModel

/// The JSON text of a body, also where it is the field `data` of a form, or base64.
struct JSONPayload {
    let text: [UInt8]
    /// The form around it; nil if the body is the JSON text itself.
    var form: FormFields?

    /// Finds the JSON text in a body.
    init(_ request: SDKRequest) throws(SDKFault) {
        if Self.isJSON(request.body) {
            text = request.body
            return
        }
        let fields = FormFields(request.body)
        if let data = fields.value("data") {
            text = try Self.json(data)
            form = fields
        } else if request.queryValue("compression") == "base64" {
            text = try Self.json(request.body)
        } else {
            throw .malformed("the body is neither JSON nor a form with a field \"data\" that can be decoded")
        }
    }

    /// Reads the parameter `data` of a query.
    init(query fields: FormFields) throws(SDKFault) {
        guard let data = fields.value("data") else { throw .malformed("the query has no parameter \"data\" that can be decoded") }
        text = try Self.json(data)
        form = fields
    }

    private static func json(_ data: [UInt8]) throws(SDKFault) -> [UInt8] {
        if isJSON(data) { return data }
        guard let text = Base64.decode(data), isJSON(text) else { throw .malformed("\"data\" is neither JSON nor base64 of JSON") }
        return text
    }

    /// Whether the text begins as an object or a list.
    private static func isJSON(_ text: [UInt8]) -> Bool {
        let first = text.dropFirst(ByteOrderMark.length(in: text)).first { $0 > 32 }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }
}
