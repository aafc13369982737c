import HTTPTypes
import NIOCore
import NIOHTTP1

/// What the HTTP decoder accepts, and another parser on the way here, such as that of a proxy, could read differently: where the body ends,
/// or for which host the request is. Such a difference lets one caller put requests into the connection of another (request smuggling).
enum RequestFraming {
    /// Why a request is refused; nil if it has no such fault.
    static func fault(of head: HTTPRequest) -> String? {
        if let ofVersion, let fault = head.headerFields[ofVersion] { return String(fault.prefix(100)) }
        // The decoder reads the chunks of "gzip, chunked", would leave gzip undone, and takes an empty field for none.
        if let coding = head.headerFields[.transferEncoding], coding.lowercased() != "chunked" {
            return "Transfer-Encoding \"\(coding.prefix(40))\" is not supported; use chunked or Content-Length"
        }
        // The first one is the authority.
        if let host, head.headerFields.contains(host) { return "the request has several Host fields" }
        return nil
    }

    private static let host = HTTPField.Name("Host")
    /// A fault that only the version shows, which `HTTPRequest` does not have (`HeadVersion`).
    private static let ofVersion = HTTPField.Name("Sluice-Head-Fault")

    /// Why a request is refused that has this version; nil if it has no such fault.
    static func fault(of head: HTTPRequestHead) -> String? {
        if head.version == .http1_0 || head.version == .http0_9 {
            // Version 1.0 has no chunks: a proxy reads the body to the end of the connection (RFC 9112 section 6.1).
            return head.headers.contains(name: "Transfer-Encoding") ? "HTTP/1.0 has no Transfer-Encoding; use Content-Length" : nil
        }
        // RFC 9112 section 3.2. Health checks by HTTP/1.0 have none.
        return head.headers.contains(name: "Host") ? nil : "the request has no Host field"
    }

    /// Looks at heads behind the decoder, as long as they have their version.
    final class HeadVersion: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias InboundOut = HTTPServerRequestPart

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .head(var head) = unwrapInboundIn(data), let fault = RequestFraming.fault(of: head) else {
                return context.fireChannelRead(data)
            }
            head.headers.replaceOrAdd(name: "Sluice-Head-Fault", value: fault)
            context.fireChannelRead(wrapInboundOut(.head(head)))
        }
    }

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

@available(*, unavailable)
extension RequestFraming.HeadVersion: Sendable {}
