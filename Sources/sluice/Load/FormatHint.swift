import EventFiles
import Foundation
import FunnelModel
import ServiceRuntime

/// A hint for a file that was read as CSV and probably should not have been, or has no header. The first character of a file
/// decides its format (`FILES.md` section 1), and its name does not.
enum FormatHint {
    private static let bytes = 64 << 10
    private static let lines = 20

    /// Nil if nothing is known: without such a file, for standard input, JSON, or compressed text.
    static func text(_ path: String) -> String? {
        guard path != "-", let handle = FileHandle(forReadingAtPath: path), let start = try? handle.read(upToCount: bytes),
            !start.starts(with: [0x1F, 0x8B]), !start.starts(with: [0x28, 0xB5])
        else { return nil }
        let found = String(decoding: start, as: UTF8.self).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .prefix(lines).map(\.trimmingSpaces)
        guard let header = found.firstIndex(where: { !$0.isEmpty }), !["{", "["].contains(where: found[header].hasPrefix)
        else { return nil }
        let name = shellWord(path)
        if let object = found.firstIndex(where: { $0.hasPrefix("{\"") }) {
            return """
                Line \(header + 1) is not a JSON object, so the file was read as CSV, but line \(object + 1) is one. If the file is \
                NDJSON: tail -n +\(object + 1) \(name) | sluice load -
                """.printable
        }
        if found[header].split(whereSeparator: { ",;\t|".contains($0) }).contains(where: isTime) {
            return "Line \(header + 1) looks like an event. If the file has no header, name the columns: --no-header --columns a,b,c"
        }
        let plain = path.hasSuffix(".gz") ? String(path.dropLast(3)) : path
        guard [".ndjson", ".jsonl", ".json"].contains(where: plain.hasSuffix) else { return nil }
        return """
            Line \(header + 1) is not a JSON object, so the file was read as CSV in spite of its name. For CSV, --user-id, --event and \
            --timestamp name the columns, --separator the separator, and --preset the format of another product.
            """
    }

    private static func isTime(_ cell: Substring) -> Bool {
        let text = String(cell).replacing("\"", with: "").trimmingSpaces
        return text.utf8.count >= 10 && (try? Timestamp.parse(ByteString(text))) != nil
    }
}
