import FunnelModel

/// An HTTP answer in the language of an SDK.
package struct SDKAnswer: Sendable, Equatable {
    package struct Header: Sendable, Equatable {
        package var name: String
        package var value: String
    }

    package var status = 200
    package var contentType: String
    /// Beside `Content-Type`.
    package var headers: [Header] = []
    package var body: [UInt8]

    init(_ status: Int = 200, json value: JSONValue) {
        self.status = status
        contentType = "application/json"
        body = value.encode()
    }

    init(_ status: Int = 200, text: String, type: String = "text/plain; charset=utf-8") {
        self.status = status
        contentType = type
        body = Array(text.utf8)
    }

    /// A transparent image of one pixel.
    static var pixel: SDKAnswer {
        var answer = SDKAnswer(text: "", type: "image/gif")
        answer.body = [
            0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x21, 0xF9, 4, 1, 0, 0, 0, 0, 0x2C,
            0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3B,
        ]
        return answer
    }

    /// The same answer, which asks to wait before the next attempt.
    func waiting(_ seconds: Int?) -> SDKAnswer {
        guard let seconds else { return self }
        var answer = self
        answer.headers.append(Header(name: "Retry-After", value: String(seconds)))
        return answer
    }
}

/// What became of the records of a batch that were read: those that are in neither list are stored.
package struct SDKOutcome: Sendable {
    /// By index of the record: faults that were found later than those in `SDKRecord.rejected`.
    package var rejected: [Int: EventFault]
    /// Indexes of records that are not stored and must be sent again.
    package var retry: [Int]
    /// Seconds to wait before.
    package var retryAfter: Int

    package init(rejected: [Int: EventFault] = [:], retry: [Int] = [], retryAfter: Int = 1) {
        self.rejected = rejected
        self.retry = retry
        self.retryAfter = retryAfter
    }
}

// MARK: - Requests without events

extension SDKEndpoint {
    /// The answer of an endpoint that takes no events; nil for others.
    package func fixedAnswer(to request: SDKRequest) -> SDKAnswer? {
        switch call {
        case .segmentSettings: SDKAnswer(json: Segment.settings(key: key(inHeadOf: request) ?? ""))
        case .posthogFlags, .posthogConfig: SDKAnswer(json: PostHog.noFlags)
        // Without a script's settings posthog-js asks for them as JSON.
        case .posthogScript: SDKAnswer(text: "", type: "application/javascript")
        case .posthogRecording: SDKAnswer(json: ["status": 1])
        case .snowplowHealth: SDKAnswer(text: "ok")
        case .segmentBatch, .segmentCall, .posthogCapture, .posthogResults, .mixpanelTrack, .mixpanelImport, .mixpanelEngage,
            .mixpanelGroups, .amplitudeUpload, .snowplowPayload, .snowplowPixel, .cloudEvents:
            nil
        }
    }
}
