import FunnelModel
import Glibc
import Logging

/// Log lines of `key=value` on standard error: time, level, message, then metadata in key order.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    private let service: String

    package init(service: String, level: Logger.Level) {
        self.service = service
        self.logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        // One write for each line, so that lines of several threads and processes don't mix.
        _ = line(event, at: WallClock.now()).withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }

    /// The line of an event, with its line end.
    /// - Parameter now: microseconds since 1970 UTC.
    package func line(_ event: LogEvent, at now: Int64) -> String {
        var line = "time=\(Timestamp.format(now)) level=\(event.level) service=\(service) msg="
        line += Self.quoted("\(event.message)")
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(Self.quoted("\(value)"))" }
        return line + "\n"
    }

    /// The text in quotes, if it needs them. Quotes, control and direction characters are escaped, so that text from a client can't
    /// forge a line or change how the text around it is shown.
    private static func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        if plain, !text.isEmpty { return text }
        return String(decoding: JSONValue.text(text).encode(), as: UTF8.self).printableJSON
    }
}
