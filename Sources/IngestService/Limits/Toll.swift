import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost

/// One request on its way through the limits of its sender (`SenderLimits`). Without limits it does nothing.
struct Toll: Sendable {
    private let limits: SenderLimits?
    private let address: String
    /// Bytes of the body that the head announces.
    private let announced: Int

    /// Begins a request over HTTP: asks the limit of its address.
    init(_ limits: SenderLimits?, _ call: EndpointCall) throws(ProtocolError) {
        self.limits = limits
        guard let limits else {
            (address, announced) = ("", 0)
            return
        }
        address = Peer.address
        // A longer body is refused.
        announced = min(max(0, call.request.head.headerFields[.contentLength].flatMap { Int($0) } ?? 0), call.bodyBytesMax)
        try limits.admit(bytes: announced, from: address)
    }

    /// Begins a request of which everything is there: asks the limits of its address and key.
    init(_ limits: SenderLimits?, whole bytes: Int, _ caller: KeyRing.Principal, from address: String) throws(ProtocolError) {
        self.limits = limits
        self.address = address
        announced = bytes
        try limits?.check(bytes: bytes, key: caller.keyMark, from: address)
    }

    /// Asks the limit of the key, before the body is read.
    func admit(_ caller: KeyRing.Principal) throws(ProtocolError) { try limits?.admit(bytes: announced, key: caller.keyMark) }

    /// The body was read.
    /// - Parameter caller: nil if its key is in the body.
    func read(_ bytes: Int, _ caller: KeyRing.Principal?) {
        guard let limits, bytes > announced else { return }
        limits.take(bytes: bytes - announced, key: caller?.keyMark, from: address)
    }

    /// Asks the limits of events, before anything is stored.
    /// - Parameter keyBytes: bytes of a body whose key was in it.
    func admit(_ batch: ReadBatch, _ caller: KeyRing.Principal, keyBytes: Int? = nil) throws(ProtocolError) {
        guard let limits else { return }
        if let keyBytes { try limits.admit(bytes: keyBytes, key: caller.keyMark) }
        try limits.admit(events: batch.batch.count + batch.rejected.count, of: caller, from: address)
    }

    /// The same for a request that was there as a whole.
    func admitWhole(_ batch: ReadBatch, _ caller: KeyRing.Principal) throws(ProtocolError) {
        guard let limits else { return }
        try admit(batch, caller)
        limits.take(bytes: announced, key: caller.keyMark, from: address)
    }
}
