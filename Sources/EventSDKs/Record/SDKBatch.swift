import FunnelModel

/// The records of one request.
package struct SDKBatch: Sendable, Equatable {
    /// The API key; nil if the request has none.
    package var key: ByteString?
    /// By index of the request.
    package var records: [SDKRecord] = []
    var reply = ReplyForm.usual

    /// How the SDK wants to be answered, where its product has several forms.
    enum ReplyForm: Sendable {
        case usual
        /// Mixpanel without `verbose=1`: a digit.
        case digit
        /// Mixpanel with `img=1`: an image.
        case image
        /// Mixpanel's JSON `/import`.
        case report
        /// The same with `strict=1`: faulty events make it an error, and the others are stored.
        case strictReport
    }
}

/// What one record of a request becomes. If `EventReader` rejects the first event, the record is rejected, with its claims. A later
/// event is a row of a profile, and can be left out alone.
package struct SDKRecord: Sendable, Equatable {
    /// Native events as `EventReader` takes them.
    package var events: [JSONValue] = []
    package var claims: [Claim] = []
    /// Whether the record had no time: its events and claims have the server's.
    package var isServerTimed = false
    /// Whether the user id of its events is the anonymous one.
    package var isAnonymous = false
    /// Parts that are not stored, and why.
    package var ignored: [String] = []
    package var rejected: EventFault?
    /// The JSON of a record that is rejected before its events are known, without the API key; else empty.
    package var source: [UInt8] = []
    /// The client's id of the record, where answers name events by it; empty if there is none.
    var messageID: ByteString = ""

    package init() {}

    package init(rejected fault: EventFault) { rejected = fault }
}
