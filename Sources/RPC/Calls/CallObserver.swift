import FunnelProtocol

/// Receives a notice of every wire call that a server has answered.
package protocol CallObserver: Sendable {
    /// Runs on the call's task; must not block.
    /// - Parameters:
    ///   - code: why the call failed, `cancelled` if its caller went away; nil if it was answered.
    ///   - took: from the whole request to the end of the answer.
    func ended(_ path: CallPath, code: ProtocolError.Code?, took: Duration)
}
