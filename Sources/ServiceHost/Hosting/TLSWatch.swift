import Dispatch
import FunnelModel
import Logging
import RPC
import ServiceRuntime
import Synchronization

/// Reads the files of TLS again: within 5 s of a change, and at once on SIGHUP.
final class TLSWatch: Sendable {
    private let timer: Mutex<DispatchSource?>
    private let hangup: HangupSignal

    init(_ files: TLSFiles, logger: Logger) {
        // A queue of its own, since reading files takes time.
        let queue = DispatchQueue(label: "tls-files")
        hangup = HangupSignal(on: queue) { Self.report(files.reload(), logger, isAsked: true) }
        let source = DispatchSource.makeTimerSource(queue: queue) as? DispatchSource
        source?.schedule(deadline: .now() + 2, repeating: 2)
        source?.setEventHandler {
            if let outcome = files.look() { Self.report(outcome, logger, isAsked: false) }
        }
        source?.resume()
        timer = Mutex(source)
        if let fault = files.invalidity() { logger.warning("clients will refuse this service's TLS", metadata: ["reason": "\(fault)"]) }
    }

    private static func report(_ outcome: TLSFiles.Outcome, _ logger: Logger, isAsked: Bool) {
        switch outcome {
        case .used(let expiry):
            logger.notice(
                "new connections use the TLS files as they are now", metadata: ["expires": "\(Timestamp.format(Int64(expiry) * 1_000_000))"]
            )
        case .refused(let reason, let isNew):
            guard isNew || isAsked else { return }
            logger.warning("the TLS files can't be used; those before stay in use", metadata: ["reason": "\(reason)"])
        }
    }
}
