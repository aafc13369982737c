/// Limits of notices, channels and the outbox. `Protocol/CHANNELS.md` section 10 lists them.
package enum NoticeLimits {
    // MARK: Notices

    package static let keyBytes = 200
    package static let titleBytes = 200
    package static let textBytes = 4_000
    package static let numbers = 50
    package static let numberNameBytes = 100
    package static let linkBytes = 1_000

    // MARK: Channels

    /// Bytes of a channel as JSON.
    package static let documentBytes = 64 << 10
    package static let urlBytes = 2_048
    package static let secretBytes = 16...1_024
    package static let recipients = 20
    package static let mailAddressBytes = 254
    package static let fileNameBytes = 100
    package static let allowedTargets = 100

    // MARK: Outbox

    package static let outboxEntries = 500
    /// Bytes of all entries as JSON.
    package static let outboxBytes = 400_000
    /// Deliveries that are remembered, so that the same one is not taken again.
    package static let rememberedDeliveries = 2_000

    // MARK: Delivery

    /// For the look-up of a name, the connection, the request and the answer together.
    package static let answerSeconds = 5
    package static let answerBytes = 65_536
    package static let sendmailSeconds = 30
    /// Of a file channel; it must be rotated before.
    package static let fileBytes: Int64 = 268_435_456
    /// Of the text that says why a delivery failed.
    package static let reasonBytes = 300
}
