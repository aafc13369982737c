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
    /// Bytes of the body that the head announces, or of a body that is there.
    private let announced: Int

    /// Begins a request over HTTP: asks the limit of its address. Nothing is taken before the bytes have come, since a head costs its
    /// sender nothing.
    init(_ limits: SenderLimits?, _ call: EndpointCall) throws(ProtocolError) {
        self.limits = limits
        guard let limits else {
            (address, announced) = ("", 0)
            return
        }
        address = Peer.address
        // A longer body is refused.
        announced = min(max(0, call.request.head.headerFields[.contentLength].flatMap { Int($0) } ?? 0), call.bodyBytesMax)
        try limits.check(bytes: announced, from: address)
    }

    /// Begins a request of which everything is there: asks the limits of its address and key.
    init(_ limits: SenderLimits?, whole bytes: Int, _ caller: KeyRing.Principal, from address: String) throws(ProtocolError) {
        self.limits = limits
        self.address = address
        announced = bytes
        guard let limits else { return }
        try limits.check(bytes: bytes, from: address)
        try limits.check(bytes: bytes, key: caller.keyMark)
    }

    /// Asks the limit of the key, before the body is read.
    func admit(_ caller: KeyRing.Principal) throws(ProtocolError) { try limits?.check(bytes: announced, key: caller.keyMark) }

    /// The body was read.
    /// - Parameter caller: nil if its key is in the body.
    func read(_ bytes: Int, _ caller: KeyRing.Principal?) { limits?.take(bytes: bytes, key: caller?.keyMark, from: address) }

    /// Asks the limits of events, before anything is stored.
    /// - Parameter keyBytes: bytes of a body whose key was in it.
    func admit(_ batch: ReadBatch, _ caller: KeyRing.Principal, keyBytes: Int? = nil) throws(ProtocolError) {
        guard let limits else { return }
        if let keyBytes { try limits.admit(bytes: keyBytes, key: caller.keyMark) }
        try limits.admit(events: events(batch), of: caller, from: address)
    }

    /// The same for a request that was there as a whole.
    func admitWhole(_ batch: ReadBatch, _ caller: KeyRing.Principal) throws(ProtocolError) {
        guard let limits else { return }
        try limits.admit(events: events(batch), of: caller, from: address)
        limits.take(bytes: announced, key: caller.keyMark, from: address)
    }

    /// Gives back what `admitWhole` took, for a request that is answered elsewhere and asks there.
    func giveBack(_ batch: ReadBatch, _ caller: KeyRing.Principal) {
        limits?.giveBack(events: events(batch), bytes: announced, key: caller.keyMark, from: address)
    }

    /// A request that could not be read counts as one event.
    /// - Parameter isWhole: whether its bytes were not taken yet.
    func failed(_ caller: KeyRing.Principal, isWhole: Bool = false) {
        guard let limits else { return }
        if isWhole { limits.take(bytes: announced, key: caller.keyMark, from: address) }
        limits.take(events: 1, key: caller.keyMark, from: address)
    }

    private func events(_ batch: ReadBatch) -> Int { batch.batch.count + batch.rejected.count }
}
