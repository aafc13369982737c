import Crypto
import Foundation
import FunnelModel

/// A notice as an e-mail: headers, plain text and HTML, with line feeds as line ends, as `sendmail` reads it.
package struct MailMessage: Equatable, Sendable {
    package var from: MailAddress
    package var to: [MailAddress]
    package var bytes: [UInt8]

    /// - Parameters:
    ///   - content: what the notice carries besides its text.
    ///   - now: of this attempt, in microseconds since 1970.
    package init(_ notice: Notice, _ content: NoticeContent? = nil, from: MailAddress, to: [MailAddress], now: Int64) {
        self.from = from
        self.to = to
        // The same for each attempt, so that mail programs show a repeat once.
        let hash = Hex.text(SHA256.hash(data: Array(notice.id.utf8)).prefix(16))
        let boundary = "=_sluice_\(hash)"
        let files = content?.files ?? []
        let outer = "=_files_\(hash)"
        var lines = [
            "From: Sluice <\(from.text)>", "To: \(to.map(\.text).joined(separator: ",\n "))",
            "Subject: \(Self.header(content == nil ? "[\(notice.statusWord)] \(notice.title)" : notice.title))", "Date: \(Self.date(now))",
            "Message-ID: <\(hash)@\(from.domain)>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
        ]
        if !files.isEmpty { lines += ["Content-Type: multipart/mixed; boundary=\"\(outer)\"", "", "--\(outer)"] }
        lines += [
            "Content-Type: multipart/alternative; boundary=\"\(boundary)\"", "",
            "--\(boundary)", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "",
            Self.base64(Array(Self.plain(notice, content).utf8)),
            "--\(boundary)", "Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64", "",
            Self.base64(Array(Self.html(notice, content).utf8)), "--\(boundary)--", "",
        ]
        for file in files {
            lines += [
                "--\(outer)", "Content-Type: \(file.type); charset=utf-8; name=\"\(file.name)\"",
                "Content-Disposition: attachment; filename=\"\(file.name)\"", "Content-Transfer-Encoding: base64", "",
                Self.base64(file.bytes),
            ]
        }
        if !files.isEmpty { lines += ["--\(outer)--", ""] }
        bytes = Array(lines.joined(separator: "\n").utf8)
    }

    // MARK: - Headers

    /// The text as the value of a header, on one line if it is short ASCII, else as encoded words (RFC 2047). Control characters become
    /// blanks.
    package static func header(_ text: String) -> String {
        var clean = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
            clean.append(isControl ? " " : scalar)
        }
        let text = String(clean)
        if text.utf8.count <= 60, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), !text.contains("=?") { return text }
        var words: [String] = []
        var word: [UInt8] = []
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            // A word has at most 75 characters, and never ends within a character.
            if word.count + bytes.count > 45 {
                words.append(encodedWord(word))
                word = []
            }
            word += bytes
        }
        if !word.isEmpty { words.append(encodedWord(word)) }
        return words.joined(separator: "\n ")
    }

    private static func encodedWord(_ bytes: [UInt8]) -> String { "=?utf-8?B?\(Data(bytes).base64EncodedString())?=" }

    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The time in UTC, as RFC 5322 writes it.
    private static func date(_ microseconds: Int64) -> String {
        let seconds = Timestamp.floorDivide(microseconds, 1_000_000)
        let day = Timestamp.floorDivide(seconds, 86_400)
        let second = seconds - day * 86_400
        let (year, month, date) = Timestamp.civil(day: day)
        // 1970-01-01 was a Thursday.
        let weekday = weekdays[Int(((day + 3) % 7 + 7) % 7)]
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(weekday), \(two(date)) \(months[Int(month) - 1]) \(year) "
            + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) +0000"
    }

    // MARK: - Parts

    private static func base64(_ bytes: [UInt8]) -> String {
        // 57 bytes make a line of 76 characters.
        let starts = stride(from: 0, to: bytes.count, by: 57)
        return starts.map { Data(bytes[$0..<min(bytes.count, $0 + 57)]).base64EncodedString() }.joined(separator: "\n")
    }

    private static func times(_ notice: Notice) -> String {
        "since \(Timestamp.format(notice.starts))" + (notice.ends.map { ", until \(Timestamp.format($0))" } ?? "")
    }

    private static func plain(_ notice: Notice, _ content: NoticeContent?) -> String {
        if let content { return ([notice.title, content.text] + (notice.link.map { [$0] } ?? [])).joined(separator: "\n\n") + "\n" }
        var parts = ["\(notice.statusWord): \(notice.title)\n\(times(notice))"]
        if !notice.text.isEmpty { parts.append(notice.text) }
        if !notice.numbers.isEmpty { parts.append(notice.numbers.map { "\($0.name): \($0.text)" }.joined(separator: "\n")) }
        if let link = notice.link { parts.append(link) }
        return parts.joined(separator: "\n\n") + "\n"
    }

    /// Only tags and colours of this page; every text from outside is escaped.
    private static func html(_ notice: Notice, _ content: NoticeContent?) -> String {
        let link = notice.link.map { "<p><a href=\"\(escaped($0))\">\(escaped($0))</a></p>\n" } ?? ""
        var html = "<!doctype html>\n<html><body style=\"font-family:sans-serif\">\n"
        if let content { return html + "<h2>\(escaped(notice.title))</h2>\n\(content.html)\(link)</body></html>\n" }
        html += "<h2 style=\"color:\(notice.status.color)\">\(notice.statusWord): \(escaped(notice.title))</h2>\n<p>\(times(notice))</p>\n"
        if !notice.text.isEmpty { html += "<p style=\"white-space:pre-wrap\">\(escaped(notice.text))</p>\n" }
        if !notice.numbers.isEmpty {
            let rows = notice.numbers.map { "<tr><td>\(escaped($0.name))</td><td align=\"right\">\($0.text)</td></tr>" }
            html += "<table cellpadding=\"4\">\n\(rows.joined(separator: "\n"))\n</table>\n"
        }
        return html + link + "</body></html>\n"
    }

    /// The text for HTML, within an element or an attribute in quotes.
    package static func escaped(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": shown += "&amp;"
            case "<": shown += "&lt;"
            case ">": shown += "&gt;"
            case "\"": shown += "&quot;"
            case "'": shown += "&#39;"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }
}
