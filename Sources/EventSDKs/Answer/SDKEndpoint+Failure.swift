import FunnelModel

extension SDKEndpoint {
    /// The answer to a request that failed as a whole.
    ///
    /// - Parameter batch: the records, if they were read before the request was turned away for its rate. Amplitude's SDKs wait
    ///   only for events that the answer names.
    package func answer(_ fault: SDKFault, to request: SDKRequest, batch: SDKBatch? = nil) -> SDKAnswer {
        if product == .amplitude, case .rateLimited = fault, let batch {
            return SDKAnswer.throttled(Array(batch.records.indices)).waiting(fault.retryAfter)
        }
        // The form of the Python SDK reads a status; what reads JSON knows a code.
        let isForm = request.contentType == "application/x-www-form-urlencoded"
        return plainAnswer(fault, isForm: isForm).waiting(fault.retryAfter)
    }

    /// Without `Retry-After`.
    func plainAnswer(_ fault: SDKFault, isForm: Bool = false) -> SDKAnswer {
        let status = fault.status(product)
        let message = JSONValue.text(fault.message)
        let code = JSONValue.text(fault.code)
        switch product {
        // RudderStack's SDK repeats any JSON error without these two members.
        case .segment: return SDKAnswer(status, json: ["code": code, "message": message])
        case .posthog:
            return SDKAnswer(status, json: ["type": .text(fault.posthogType), "code": code, "detail": message, "attr": nil])
        case .mixpanel where call == .mixpanelImport && !isForm:
            return SDKAnswer(status, json: ["code": .count(status), "error": message, "status": code])
        case .mixpanel: return SDKAnswer(status, json: ["status": 0, "error": message])
        case .amplitude: return SDKAnswer(status, json: fault.amplitudeBody)
        case .snowplow: return SDKAnswer(status, text: fault.message)
        case .cloudEvents: return SDKAnswer(status, json: ["code": code, "detail": message])
        }
    }
}

extension SDKAnswer {
    /// Amplitude's answer to events that are sent too fast: the SDK sends the named ones again after 30 s, others at once.
    static func throttled(_ indexes: [Int]) -> SDKAnswer {
        SDKAnswer(
            429,
            json: [
                "code": 429, "error": "Too many requests for some devices and users", "throttled_devices": [:], "throttled_users": [:],
                "throttled_events": .array(indexes.map { .count($0) }),
            ])
    }
}

extension SDKFault {
    /// The status that makes the product's SDKs drop what can never be accepted, and repeat what can be later.
    ///
    /// | fault | status | other |
    /// |---|---|---|
    /// | malformed, unsupported | 400 | 415 for a format of CloudEvents |
    /// | page or host name | 403 | Amplitude 400 |
    /// | key | 401 | Amplitude 400 |
    /// | too large | 413 | 400: analytics-swift keeps a file after 413, and Snowplow's trackers send it for ever |
    /// | encoding | 415 | 400 likewise; Amplitude's SDKs repeat a 415 too |
    /// | rate | 429 | 503: posthog-js drops after 429, and Amplitude's SDKs repeat at once |
    /// | overload | 503 | |
    fileprivate func status(_ product: SDKProduct) -> Int {
        switch self {
        case .malformed: 400
        case .unsupported: product == .cloudEvents ? 415 : 400
        case .forbidden: product == .amplitude ? 400 : 403
        case .missingKey, .wrongKey, .refusedKey: product == .amplitude ? 400 : 401
        case .tooLarge, .tooManyEvents: product == .segment || product == .snowplow ? 400 : 413
        case .unsupportedEncoding: product == .segment || product == .snowplow || product == .amplitude ? 400 : 415
        case .rateLimited: product == .posthog || product == .amplitude ? 503 : 429
        case .overloaded: 503
        }
    }

    fileprivate var posthogType: String {
        switch self {
        case .missingKey, .wrongKey, .refusedKey, .forbidden: "authentication_error"
        case .rateLimited: "throttled_error"
        case .overloaded: "server_error"
        case .malformed, .unsupported, .unsupportedEncoding, .tooLarge, .tooManyEvents: "validation_error"
        }
    }

    /// Amplitude's SDKs read `code` and not the status. They drop the events of a 400 at once only if it names a missing field, or
    /// its error begins with "Invalid API key:".
    fileprivate var amplitudeBody: JSONValue {
        let code = JSONValue.count(status(.amplitude))
        let message = JSONValue.text(self.message)
        switch self {
        case .missingKey: return ["code": code, "error": message, "missing_field": "api_key"]
        case .malformed, .unsupported, .unsupportedEncoding, .forbidden:
            return ["code": code, "error": message, "missing_field": "events"]
        case .wrongKey, .refusedKey: return ["code": code, "error": .text("Invalid API key: \(self.message)")]
        case .tooLarge, .tooManyEvents, .rateLimited, .overloaded: return ["code": code, "error": message]
        }
    }
}
