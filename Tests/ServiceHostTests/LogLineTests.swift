import FunnelModel
import Logging
import ServiceHost
import ServiceRuntime
import Synchronization
import Testing

/// Log lines: an event is one line with the fields of the code, for any text that a client sends.
struct LogLineTests {
    private func line(_ message: String, _ level: Logger.Level = .info, _ metadata: Logger.Metadata = [:]) -> String {
        LineLogHandler(service: "s", level: .trace).line(
            LogEvent(
                level: level, message: "\(message)", metadata: metadata, source: "test", file: #fileID, function: #function, line: #line),
            at: 0)
    }

    /// Fields of a line as a program reads them: `key=value`, the value bare or a text of JSON; nil where it is no such line.
    private func fields(_ line: String) -> [[String]]? {
        let bytes = Array(line.utf8)
        guard bytes.last == UInt8(ascii: "\n") else { return nil }
        var rest = bytes.dropLast()
        var fields: [[String]] = []
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let key = rest[..<equals]
            rest = rest[(equals + 1)...]
            let value: String
            if rest.first == UInt8(ascii: "\"") {
                var end = rest.startIndex + 1
                while end < rest.endIndex, rest[end] != UInt8(ascii: "\"") { end += rest[end] == UInt8(ascii: "\\") ? 2 : 1 }
                guard end < rest.endIndex, let text = try? JSONParser.parse(Array(rest[...end])).asString else { return nil }
                value = text.string
                rest = rest[(end + 1)...]
            } else {
                let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
                value = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[end...]
            }
            fields.append([String(decoding: key, as: UTF8.self), value])
            guard !rest.isEmpty else { break }
            guard rest.removeFirst() == UInt8(ascii: " ") else { return nil }
        }
        return fields
    }

    @Test func aLineHasTimeLevelServiceMessageAndItsDataInOrderOfTheirKeys() {
        #expect(line("started") == "time=1970-01-01T00:00:00Z level=info service=s msg=started\n")
        #expect(
            line("cluster map", .notice, ["shards": "2", "epoch": "1", "a": "x y", "Z": "", "b": "1=2"])
                == "time=1970-01-01T00:00:00Z level=notice service=s msg=\"cluster map\" Z=\"\" a=\"x y\" b=\"1=2\" epoch=1 shards=2\n")
    }

    @Test(arguments: [
        "plain", "", " ", "two words", "a=b", "\"", "\\", "\\n", "\\\" level=error msg=\"", "\n", "\r", "\r\n", "\t", "\0", "\u{7F}",
        "\u{85}",
        "x\ntime=1970-01-01T00:00:00Z level=critical service=s msg=forged", "x level=critical", "\u{1B}[2J\u{1B}[31mred\u{1B}[0m",
        "\u{1B}]0;title\u{7}", "\u{9B}31m", "\u{202E}desrever", "\u{2028}line\u{2029}", "\u{2066}x\u{2069}", "\u{FEFF}", "\u{8}\u{8}\u{8}",
        "日本",
        "Zoë", "e\u{301}", "\"\u{301}", "=\u{301}", " \u{301}x", "👩‍👩‍👧", "\\u000A",
        String(decoding: [0x61, 0xFF, 0x0A, 0xC3, 0x28, 0xED, 0xA0, 0x80, 0xF8, 0xC3] as [UInt8], as: UTF8.self),
        String(repeating: "long\n", count: 20_000),
    ])
    func noTextForgesALineOrAField(text: String) {
        let line = line(text, .info, ["a": "\(text)", "b": "after"])
        #expect(line.utf8.count { $0 < 0x20 || $0 == 0x7F } == 1 && line.utf8.last == UInt8(ascii: "\n"), "\(line.debugDescription)")
        // What turns or hides the text around it is an escape too.
        #expect(!line.unicodeScalars.contains { (0x7F...0x9F).contains($0.value) || (0x2028...0x202E).contains($0.value) })
        #expect(!line.unicodeScalars.contains { (0x2066...0x2069).contains($0.value) || $0.value == 0xFEFF })
        #expect(
            fields(line) == [
                ["time", "1970-01-01T00:00:00Z"], ["level", "info"], ["service", "s"], ["msg", text], ["a", text], ["b", "after"],
            ], "\(line.debugDescription)")
    }

    @Test func dataOfAnyShapeAreOneText() {
        let line = line("m", .info, ["list": ["a b", "c\nd"], "number": .stringConvertible(7), "word": .string("x")])
        let found = fields(line)
        #expect(found?.map { $0[0] } == ["time", "level", "service", "msg", "list", "number", "word"], "\(line)")
        #expect(found?.suffix(2) == [["number", "7"], ["word", "x"]] && line.utf8.count { $0 == 10 } == 1)
    }

    /// Keeps the lines that a logger would have written.
    private struct Kept: LogHandler {
        var inner: LineLogHandler
        let lines: Lines

        final class Lines: Sendable {
            let all = Mutex<[String]>([])
        }

        var metadata: Logger.Metadata {
            get { inner.metadata }
            set { inner.metadata = newValue }
        }
        var logLevel: Logger.Level {
            get { inner.logLevel }
            set { inner.logLevel = newValue }
        }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { inner[metadataKey: key] }
            set { inner[metadataKey: key] = newValue }
        }
        func log(event: LogEvent) { lines.all.withLock { $0.append(inner.line(event, at: 0)) } }
    }

    @Test(arguments: Logger.Level.allCases)
    func onlyEventsOfTheLevelAndAboveAreLogged(least: Logger.Level) {
        let lines = Kept.Lines()
        let logger = Logger(label: "test") { Kept(inner: LineLogHandler(service: $0, level: least), lines: lines) }
        for level in Logger.Level.allCases { logger.log(level: level, "m") }
        let found = lines.all.withLock { $0 }.map { fields($0)?[1] ?? [] }
        #expect(found == Logger.Level.allCases.filter { $0 >= least }.map { ["level", "\($0)"] })
    }

    @Test func dataOfTheEventGoBeforeThoseOfTheLogger() {
        let lines = Kept.Lines()
        var logger = Logger(label: "test") { Kept(inner: LineLogHandler(service: $0, level: .info), lines: lines) }
        logger[metadataKey: "shard"] = "1"
        logger[metadataKey: "request"] = "x"
        logger.info("m", metadata: ["shard": "2", "path": "/"])
        logger[metadataKey: "request"] = nil
        logger.info("m")
        #expect(
            lines.all.withLock { $0 } == [
                "time=1970-01-01T00:00:00Z level=info service=test msg=m path=/ request=x shard=2\n",
                "time=1970-01-01T00:00:00Z level=info service=test msg=m shard=1\n",
            ])
    }

    // MARK: Lines of failed requests

    @Test func aHundredLinesAtOnceAndOneMoreEachSecond() {
        let start = ContinuousClock.now
        var budget = FailureLog.Budget(start)
        func take(_ count: Int, at milliseconds: Int) -> [Int?] {
            (0..<count).map { _ in budget.take(start + .milliseconds(milliseconds)) }
        }
        let atOnce = take(103, at: 0)
        #expect(atOnce == Array(repeating: 0, count: 100) + [nil, nil, nil])
        let half = take(1, at: 500)
        #expect(half == [nil])
        // The next line says how many were left out before it.
        let second = take(2, at: 1_000)
        #expect(second == [4, nil])
        let third = take(2, at: 2_000)
        #expect(third == [1, nil])
        // However long nothing failed, no more than a hundred.
        let later = take(102, at: 3_600_000)
        #expect(later == [1] + Array(repeating: 0, count: 99) + [nil, nil])
    }
}
