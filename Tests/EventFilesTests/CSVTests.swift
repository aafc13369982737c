import EventFiles
import EventShapes
import Foundation
import FunnelModel
import TestSupport
import Testing

/// How CSV is split into records and fields; `FILES.md` section 2.
struct CSVTests {
    private let head = "user_id,event,timestamp,note,memo\n"

    /// All cells of the last two columns are text.
    private static func read(_ text: String, _ change: (inout FileOptions) -> Void = { _ in }) throws -> ReadFile {
        try ReadFile(
            text,
            ReadFile.options {
                $0.shape.textColumns = ["note", "memo"]
                change(&$0)
            })
    }

    /// A record whose last two fields are written as they are.
    private static func record(_ fields: String, _ user: Int = 1) -> String { "u\(user),View,2026-01-01,\(fields)" }

    /// The note of the only record; nil is an empty field.
    private func note(_ field: String) throws -> String? {
        let file = try Self.read(head + Self.record(field) + ",x\n")
        try #require(file.events.count == 1 && file.rejected.isEmpty, "\(field): \(file.rejected)")
        guard case .string(let note)? = file.values(of: "note")[0] else { return nil }
        return note.string
    }

    // MARK: Random tables

    /// Text and the records that it must be read as.
    private struct Table {
        var text: String
        var notes: [String?] = []
        var memos: [String?] = []
        var lines: [FileLines] = []
        private var line = 2
        private var random: SplitMix64
        private let end: String

        init(seed: UInt64, end: String, records: Int) {
            random = SplitMix64(seed: seed)
            self.end = end
            text = random.chance(50) ? "\u{FEFF}" : ""
            text += ["user_id", "event", "timestamp", "note", "memo"].map { random.chance(30) ? "\"\($0)\"" : $0 }.joined(separator: ",")
            text += end
            for number in 0..<records {
                while random.chance(10) { addLineEnd() }
                add(number)
                if number + 1 < records || random.chance(50) { addLineEnd() }
            }
        }

        private mutating func addLineEnd() {
            text += end
            line += 1
        }

        private mutating func add(_ number: Int) {
            let fields = [field(), field()]
            notes.append(fields[0].isEmpty ? nil : fields[0])
            memos.append(fields[1].isEmpty ? nil : fields[1])
            text += CSVTests.record(fields.map { written($0) }.joined(separator: ","), number)
            // Some files have a separator at the end of each line.
            if random.chance(20) { text += "," }
            let inside = fields.reduce(0) { $0 + CSVTests.lineEnds($1) }
            lines.append(line...(line + inside))
            line += inside
        }

        private mutating func field() -> String {
            let parts = ["a", "b c", " ", "\"", "\"\"", ",", "\n", "\r\n", "\r", "é", "1", "\t", ";"]
            if random.chance(1) { return String(repeating: "long ", count: 1_000) }
            return (0..<random.below(7)).map { _ in random.pick(parts) }.joined()
        }

        private mutating func written(_ field: String) -> String {
            let mustBeQuoted = field.unicodeScalars.contains { ",\n\r".unicodeScalars.contains($0) } || field.hasPrefix("\"")
            return mustBeQuoted || random.chance(30) ? "\"" + field.replacing("\"", with: "\"\"") + "\"" : field
        }
    }

    /// LF, CRLF and CR.
    private static func lineEnds(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        return bytes.indices.count { bytes[$0] == 10 || (bytes[$0] == 13 && !($0 + 1 < bytes.count && bytes[$0 + 1] == 10)) }
    }

    /// Files of several pieces: a piece has 256 KiB.
    @Test(arguments: ["\n", "\r\n", "\r"], [1, 2, 3] as [UInt64])
    func aWrittenTableReadsBack(end: String, seed: UInt64) throws {
        let table = Table(seed: seed, end: end, records: 12_000)
        #expect(table.text.utf8.count > 2 * 256 << 10)
        let file = try Self.read(table.text)
        #expect(file.rejected.isEmpty, "\(file.rejected.prefix(3))")
        #expect(file.events.map(\.user) == table.notes.indices.map { ByteString("u\($0)") })
        for (key, cells) in [("note", table.notes), ("memo", table.memos)] as [(ByteString, [String?])] {
            let read = file.values(of: key)
            #expect(read.count == cells.count)
            for (i, cell) in cells.enumerated() where i < read.count {
                #expect(read[i] == cell.map { .string(ByteString($0)) }, "\(key) of record \(i)")
            }
        }
        #expect(file.lines == table.lines)
    }

    /// The end of a piece at every byte of a record, between the quotes and the CR and LF of it too.
    @Test func aRecordMayBeCutAnywhereByTheEndOfAPiece() throws {
        let record = Self.record("\"a \"\"b\"\"\r\nc\",\"\"\"\"\r\n", 2)
        let first = Self.record("x", 1)
        for before in 0...record.utf8.count {
            let padding = (256 << 10) - head.utf8.count - first.utf8.count - 2 - before
            var text = head + first + ",\n"
            // Many lines, since a field has a limit.
            while text.utf8.count < padding { text += "\n" }
            text += String(repeating: "\n", count: (256 << 10) - before - text.utf8.count)
            text += record + Self.record("z,", 3)
            let file = try Self.read(text)
            #expect(file.events.map(\.user) == ["u1", "u2", "u3"] && file.rejected.isEmpty, "\(before) bytes before the end of the piece")
            #expect(file.values(of: "note")[1] == .string("a \"b\"\r\nc") && file.values(of: "memo")[1] == .string("\""), "\(before) bytes")
        }
    }

    // MARK: Quotes

    @Test(arguments: [
        (#""""#, nil), (#""""""#, "\""), (#""a""b""#, "a\"b"), (#""""""""#, "\"\""), (#""a,b""#, "a,b"), (#"a"b"#, "a\"b"),
        (#"a"""#, "a\"\""), (#" "a""#, " \"a\""), ("", nil), (" ", " "), ("\"\n\"", "\n"), ("\"\r\n\r\"", "\r\n\r"), ("\" \"", " "),
    ])
    func aQuoteCountsAtTheStartOfAField(field: String, expected: String?) throws {
        let read = try note(field)
        #expect(read == expected)
    }

    @Test(arguments: [#""a"b"#, #""a" "#, #""a"""b"#, "\"a", #""a"""#, #"""#, "\"\"\""])
    func brokenQuotingCostsItsLineAlone(field: String) throws {
        let file = try Self.read(head + Self.record(field, 1) + "\n" + Self.record("ok,", 2) + "\n")
        #expect(file.events.map(\.user) == ["u2"] && file.rejected.map(\.lines) == [2...2], "\(field): \(file.rejected)")
        // At the end of the file, too.
        let last = try Self.read(head + Self.record("ok,", 1) + "\n" + Self.record(field, 2))
        #expect(last.events.map(\.user) == ["u1"] && last.rejected.map(\.lines) == [3...3], "\(field): \(last.rejected)")
    }

    @Test func withoutQuotesTheyAreOrdinary() throws {
        let file = try Self.read(head + Self.record("\"a,\"\"\n")) { $0.table.hasQuotes = false }
        #expect(file.values(of: "note") == [.string("\"a")] && file.values(of: "memo") == [.string("\"\"")])
    }

    // MARK: The start and the end of the file

    @Test(arguments: ["a,b", "a,\"b\"", "\"a\nc\",b", "a,b,"], ["", "\n", "\r", "\r\n", "\n\n\n", "\r\r\n"])
    func theLastRecordNeedsNoLineEnd(fields: String, end: String) throws {
        let file = try Self.read(head + Self.record("first,", 1) + "\n" + Self.record(fields, 2) + end)
        #expect(file.events.map(\.user) == ["u1", "u2"] && file.rejected.isEmpty)
        #expect(file.values(of: "memo")[1] == .string("b"))
    }

    @Test(arguments: [",", ",\"\"", ""])
    func theLastFieldMayBeEmpty(rest: String) throws {
        let file = try Self.read(head + Self.record("a" + rest))
        #expect(rest.isEmpty ? file.rejected.count == 1 : file.values(of: "note") == [.string("a")] && file.values(of: "memo") == [nil])
    }

    @Test func aByteOrderMarkCountsAtTheStartAlone() throws {
        let mark = "\u{FEFF}"
        #expect(try Self.read(mark + "\"user_id\",event,timestamp\nu1,View,2026-01-01\n").events.count == 1)
        #expect(try Self.read(mark + "sep=;\nuser_id;event;timestamp\nu1;View;2026-01-01\n").events.count == 1)
        let inside = try Self.read(head + Self.record(mark + "a," + mark) + "\n")
        #expect(inside.values(of: "note") == [.string(ByteString(mark + "a"))])
        // The second mark is part of the first column's name.
        #expect { try Self.read(mark + mark + head) } throws: { "\($0)".contains("user_id") }
    }

    @Test func aHeaderMayHaveLineEndsInItsNames() throws {
        let file = try Self.read("user_id,event,\"timestamp\",\"two\nlines\"\nu1,View,2026-01-01,a\n")
        #expect(file.values(of: "two\nlines") == [.string("a")] && file.lines == [3...3])
    }

    @Test func filesWithoutRecordsAreEmpty() throws {
        for text in ["", "\n\n", head, head + "\n\r\n\r", "\u{FEFF}", "\u{FEFF}" + head] {
            let file = try Self.read(text)
            #expect(file.events.isEmpty && file.rejected.isEmpty, "\(text.debugDescription)")
        }
    }

    // MARK: Limits

    /// A record has at most 1 MiB; one byte more is an error that names the limit, and the next record is read.
    @Test(arguments: [false, true])
    func aRecordHasAMaxLength(isQuoted: Bool) throws {
        let limit = 1 << 20
        func file(_ bytes: Int) throws -> ReadFile {
            let quote = isQuoted ? "\"" : ""
            let padding = bytes - Self.record("\(quote)\(quote),").utf8.count
            let long = Self.record("\(quote)\(String(repeating: "x", count: padding))\(quote),")
            return try Self.read(head + long + "\n" + Self.record("a,b", 2) + "\n")
        }
        for (bytes, isTooLong) in [(limit - 1, false), (limit, false), (limit + 1, true), (2 * limit, true)] {
            let file = try file(bytes)
            #expect(file.events.map(\.user) == ["u2"] && file.lines == [3...3], "\(bytes) bytes")
            #expect(file.rejected.map(\.lines) == [2...2], "\(bytes) bytes")
            let reason = file.rejected.first?.reason ?? ""
            // The event has the same limit, and is rejected with another reason.
            let isOfRecord = reason.contains("the record is longer than") || reason.contains("the quote does not close within")
            #expect(reason.contains("\(limit)") && isOfRecord == isTooLong, "\(bytes) bytes: \(reason.prefix(200))")
        }
    }
}
