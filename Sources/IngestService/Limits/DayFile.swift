import FunnelModel
import Logging
import ServiceLifecycle
import ServiceRuntime
import Synchronization

/// Keeps the events of the day over restarts, in a small file of the data directory. It is written every few seconds and at the stop; a
/// process that is killed forgets the last ones.
final class DayFile: Service {
    private static let interval = Duration.seconds(5)

    private let limits: SenderLimits?
    private let path: String
    private let logger: Logger
    /// The last document on the disk.
    private let written: Mutex<JSONValue?>

    init(_ limits: SenderLimits?, _ settings: Settings, _ logger: Logger) {
        self.limits = limits
        path = Self.path(settings)
        self.logger = logger
        written = Mutex(limits?.document)
    }

    private static func path(_ settings: Settings) -> String { settings.text("data") + "/events-of-day.json" }

    /// The document of the last run; null if there is none.
    static func read(_ settings: Settings) -> JSONValue {
        guard let bytes = try? DurableFile.readKept(path(settings), bytesMax: 64 << 20), let document = try? JSONParser.parse(bytes) else {
            return .null
        }
        return document
    }

    func run() async throws {
        if limits?.document != nil {
            await cancelWhenGracefulShutdown { [self] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.interval)
                    write()
                }
            }
        }
        // A service that returns ends the process, so this one waits for the stop.
        try? await gracefulShutdown()
        write()
    }

    private func write() {
        guard let document = limits?.document, document != written.withLock({ $0 }) else { return }
        do {
            try DurableFile.replace(path, with: document.encode())
            written.withLock { $0 = document }
        } catch {
            logger.warning("the events of the day cannot be stored; a restart would forget them", metadata: ["error": "\(error)"])
        }
    }
}
