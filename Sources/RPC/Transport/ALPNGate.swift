import NIOCore
import NIOSSL
import NIOTLS

/// Closes a TLS connection on which the peer did not agree to `h2`.
final class ALPNGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let certificateNames: (([String]) -> Void)?

    /// - Parameter certificateNames: called once TLS is set up, with the DNS names of the peer's verified certificate; without any if
    ///   it has shown none. Nil if nobody needs them.
    init(certificateNames: (([String]) -> Void)? = nil) { self.certificateNames = certificateNames }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            guard negotiated == "h2" else {
                context.fireErrorCaught(TransportError(.refused, "peer does not offer h2 by alpn"))
                return
            }
            if let certificateNames {
                let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
                certificateNames(certificate.map(dnsNames) ?? [])
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Turns errors of TLS below into readable text.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error is TransportError ? error : TransportError(.unknown, connectionWords(error)))
    }
}
