import NIOCore
import NIOTLS

/// Closes a TLS connection on which the peer did not agree to `h2`.
final class ALPNGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent, negotiated != "h2" {
            context.fireErrorCaught(TransportError(.refused, "peer does not offer h2 by alpn"))
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Turns errors of TLS below into readable text.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error is TransportError ? error : TransportError(.unknown, connectionWords(error)))
    }
}
