import HTTPTypes
import NIOCore
import RPC

/// The sender of an HTTP request: the peer of the connection or, if that is a trusted proxy, the caller that it names.
package struct RequestSender: Sendable {
    private let channel: any Channel
    private let usesTLS: Bool
    /// What a trusted proxy says; nil if the peer is none. `isSecure` is nil if it does not say.
    private let forwarded: (address: String, isSecure: Bool?)?

    /// - Parameter usesTLS: whether the port itself does.
    package init(_ head: HTTPRequest, on channel: any Channel, _ proxies: TrustedProxies, usesTLS: Bool = false) {
        self.channel = channel
        self.usesTLS = usesTLS
        guard !proxies.isEmpty, proxies.contains(channel.remoteAddress) else {
            forwarded = nil
            return
        }
        let fields = head.headerFields
        let isSecure: Bool? =
            switch fields[values: Self.proto].last?.split(separator: ",").last?.filter({ $0 != " " }).lowercased() {
            case "https": true
            case "http": false
            default: nil
            }
        forwarded = (proxies.caller(fields[values: Self.forwardedFor], of: channel.remoteAddress), isSecure)
    }

    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    private static let proto = HTTPField.Name("X-Forwarded-Proto")!

    /// The part of the sender's address to which limits apply; see `limitAddress`.
    package var address: String { forwarded?.address ?? limitAddress(channel.remoteAddress) }

    /// Whether the sender uses TLS, as the proxy says or otherwise as this port does.
    package var isSecure: Bool { forwarded?.isSecure ?? usesTLS }
}

/// The sender of the request that the current task answers.
package enum Peer {
    @TaskLocal static var sender: RequestSender?

    /// The part of its address to which limits apply; see `limitAddress`.
    package static var address: String { sender?.address ?? limitAddress(nil) }

    /// Whether it uses TLS, with this port or with a trusted proxy.
    package static var isSecure: Bool { sender?.isSecure ?? false }
}
