import HTTPTypes
import NIOCore

/// What the HTTP decoder accepts, and another parser on the way here, such as that of a proxy, could read differently: where the body ends,
/// or for which host the request is. Such a difference lets one caller put requests into the connection of another (request smuggling).
enum RequestFraming {
    /// Why a request is refused; nil if it has no such fault.
    static func fault(of head: HTTPRequest) -> String? {
        // The decoder reads the chunks of "gzip, chunked", would leave gzip undone, and takes an empty field for none.
        if let coding = head.headerFields[.transferEncoding], coding.lowercased() != "chunked" {
            return "Transfer-Encoding \"\(coding.prefix(40))\" is not supported; use chunked or Content-Length"
        }
        // The first one is the authority.
        if let host, head.headerFields.contains(host) { return "the request has several Host fields" }
        return nil
    }

    private static let host = HTTPField.Name("Host")

    /// Counts what a chunked body has beside its data: sizes, extensions and line ends. The decoder skips them without a limit.
    struct Chunks {
        /// Bytes that any body may have.
        static let bytesMax = 64 << 10
        /// Bytes for each byte of data: a chunk of one byte has six.
        static let bytesPerByteMax = 16

        /// Bytes that the connection had received when the head was read.
        let receivedBefore: Int
        var bodyBytes = 0

        init(receivedBefore: Int) { self.receivedBefore = receivedBefore }

        func areTooLarge(received: Int) -> Bool { received - receivedBefore - bodyBytes > Self.bytesMax + bodyBytes * Self.bytesPerByteMax }
    }
}

/// Counts the bytes of a connection on their way to the HTTP decoder.
final class ReceivedBytes: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private(set) var count = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension ReceivedBytes: Sendable {}
