import FunnelProtocol

/// Told of every wire call that a server has answered.
package protocol CallObserver: Sendable {
    /// On the call's task; must not block.
    /// - Parameters:
    ///   - code: why the call failed, `cancelled` where its caller went away; nil where it was answered.
    ///   - took: from the whole request to the end of the answer.
    func ended(_ path: CallPath, code: ProtocolError.Code?, took: Duration)
}
