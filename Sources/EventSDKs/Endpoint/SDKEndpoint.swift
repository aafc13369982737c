import FunnelModel

/// A method and a path that an SDK calls, and what is known of its requests before their bodies are read.
package struct SDKEndpoint: Sendable, Equatable {
    package enum Method: String, CaseIterable, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
    }

    /// What the SDK asks for.
    package enum Call: Sendable, Hashable {
        case segmentBatch
        case segmentCall(SegmentCall)
        case segmentSettings
        case posthogCapture
        /// As `posthogCapture`; the answer has a result for each event by its uuid.
        case posthogResults
        case posthogFlags
        case posthogConfig
        case posthogScript
        case posthogRecording
        case mixpanelTrack
        case mixpanelImport
        case mixpanelEngage
        case mixpanelGroups
        case amplitudeUpload
        case snowplowPayload
        case snowplowPixel
        case snowplowHealth
        case cloudEvents
    }

    /// A form that the body may have, after its content encoding was undone.
    package enum BodyForm: Sendable, Hashable {
        case json
        /// One JSON document per line.
        case lines
        /// `application/x-www-form-urlencoded`, with JSON or base64 of JSON as the field `data`.
        case form
        /// There is no body: the event is in the query.
        case query
        /// Data of any content type; the event's attributes are header fields.
        case data
    }

    /// A place where the API key may be. The first of an endpoint's places that has one counts.
    package enum KeyPlace: Sendable, Hashable {
        /// `Authorization: Bearer KEY`.
        case bearer
        /// The user name of `Authorization: Basic`.
        case basic
        /// The part `{key}` of the path.
        case path
        case query(String)
        /// A member of the body's object, or a field of the form.
        case body(ByteString)
        /// A member of each event. All events must have the same one; others are rejected.
        case event(MemberPlace)

        /// Whether it is part of the URL, which browsers and proxies write down.
        package var isInURL: Bool {
            switch self {
            case .path, .query: true
            case .bearer, .basic, .body, .event: false
            }
        }
    }

    /// Whether web pages call the endpoint, so that it needs CORS.
    package enum BrowserAccess: Sendable {
        case none
        case plain
        /// The page sends credentials: the answer must repeat the page's origin, and allow credentials.
        case withCredentials
    }

    package let method: Method
    /// Without `/` at its end. `{key}` is the place of the API key.
    package let path: String
    package let product: SDKProduct
    package let call: Call
    /// Empty: the body is not read.
    package let bodies: [BodyForm]
    /// Empty: the endpoint needs no API key.
    package let keys: [KeyPlace]
    package let browsers: BrowserAccess

    /// Both spellings of the path. A redirect from one to the other would lose the body of a POST.
    package var paths: [String] { [path, path + "/"] }

    /// Whether its requests have events, so that an API key and a body are needed.
    package var takesEvents: Bool { !bodies.isEmpty }
}

// MARK: - Finding an endpoint

extension SDKEndpoint {
    private static let byPath = Dictionary(grouping: all.filter { !$0.path.contains("{key}") }, by: \.path)
    private static let withKeyInPath = all.filter { $0.path.contains("{key}") }

    /// The endpoints of a path, with or without `/` at its end: two for a path that two products share.
    package static func at(_ method: Method, _ path: String) -> [SDKEndpoint] {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let found = byPath[path] ?? withKeyInPath.filter { $0.key(inPath: path) != nil }
        return found.filter { $0.method == method }
    }

    /// The endpoint that a request is for; nil if there is none. Where two products share a method and a path, the body decides:
    ///
    /// | path | products | rule |
    /// |---|---|---|
    /// | POST /batch | PostHog, Amplitude | a list `events` is Amplitude's, a list `batch` PostHog's. Neither: `/batch/` is PostHog's |
    /// | POST /s | Segment, PostHog | Segment's body is an object with a member of a Segment call |
    /// | POST /v1/events | native, CloudEvents | `ce-specversion` or a content type `application/cloudevents…`; native: nil |
    ///
    /// The body must be decompressed before (`mayBeGzip`).
    package static func owner(of request: SDKRequest) -> SDKEndpoint? {
        let found = at(request.method, request.path)
        return found.count < 2 ? found.first { $0.isOwner(of: request) } : found.first { $0.isOwner(of: request) } ?? found.first
    }

    private func isOwner(of request: SDKRequest) -> Bool {
        switch call {
        case .cloudEvents: CloudEvents.has(request)
        case .posthogCapture where path == "/batch": PostHog.hasBatch(request)
        case .segmentCall(.screen) where path == "/s": Segment.isCall(request)
        default: true
        }
    }
}

// MARK: - The API key

extension SDKEndpoint {
    /// The API key in a request's head; nil if it can only be in the body (`SDKBatch.key`), or is missing.
    package func key(inHeadOf request: SDKRequest) -> ByteString? { keyAndPlace(inHeadOf: request)?.key }

    /// The same, and where it is.
    package func keyAndPlace(inHeadOf request: SDKRequest) -> (key: ByteString, place: KeyPlace)? {
        for place in keys {
            let found: ByteString? =
                switch place {
                case .bearer: request.credentials("bearer").map { ByteString($0) }
                case .basic: request.credentials("basic").flatMap(Self.userName)
                case .path: key(inPath: request.path)
                case .query(let name): request.queryValue(name)
                case .body, .event: nil
                }
            if let found, !found.isEmpty { return (found, place) }
        }
        return nil
    }

    private static func userName(_ credentials: String) -> ByteString? {
        Base64.decode(Array(credentials.utf8)).map { ByteString($0.prefix { $0 != UInt8(ascii: ":") }) }
    }

    /// The part of a path that is in the place of `{key}`; nil if the path is not the endpoint's, or cannot be decoded.
    private func key(inPath path: String) -> ByteString? {
        let own = self.path.split(separator: "/")
        let given = path.split(separator: "/")
        guard own.count == given.count else { return nil }
        var key: ByteString?
        for (name, part) in zip(own, given) {
            if name == "{key}" {
                key = FormFields.decode(Array(part.utf8)[...], plusIsBlank: false).map { ByteString($0) }
            } else if name != part {
                return nil
            }
        }
        return key
    }

    /// The key as a member of the body's object.
    func key(in envelope: JSONValue) -> ByteString? {
        for case .body(let name) in keys {
            if let key = envelope[name]?.asString, !key.isEmpty { return key }
        }
        return nil
    }

    /// The key as a member of one event.
    func key(ofEvent event: JSONValue) -> ByteString? {
        for case .event(let place) in keys {
            if let key = place.value(in: event)?.asString, !key.isEmpty { return key }
        }
        return nil
    }
}

extension SDKEndpoint {
    /// A record without the members that may be the API key.
    func withoutKey(_ record: JSONValue) -> JSONValue {
        keys.reduce(record) { record, place in
            switch place {
            case .event(let place): place.removed(from: record)
            case .body(let name): MemberPlace(name: name).removed(from: record)
            case .bearer, .basic, .path, .query: record
            }
        }
    }
}

// MARK: - Compression

extension SDKEndpoint {
    /// Whether a body that begins with gzip's first bytes is gzip, although no `Content-Encoding` says so: PostHog announces it in the
    /// query (`compression=gzip-js`).
    package func mayBeGzip(_ request: SDKRequest) -> Bool {
        guard product == .posthog, request.header("content-encoding") == nil else { return false }
        return ["gzip-js", "gzip"].contains(request.queryValue("compression"))
    }
}
