import FunnelModel
import ReportTables
import TestSupport
import Testing

/// Reports as tables: CSV and NDJSON.
struct ReportTableTests {
    private static let risky = Set("=+-@\t\r\n\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars)

    /// The cells of RFC 4180 text; whether a cell is in quotes.
    private static func parse(_ bytes: [UInt8]) -> [[(text: String, isQuoted: Bool)]] {
        var rows: [[(text: String, isQuoted: Bool)]] = []
        var row: [(text: String, isQuoted: Bool)] = []
        var cell: [UInt8] = []
        var (isQuoted, isOpen) = (false, false)
        var i = 0
        while i < bytes.count {
            let byte = bytes[i]
            i += 1
            if byte == UInt8(ascii: "\"") {
                if isOpen, i < bytes.count, bytes[i] == byte {
                    cell.append(byte)
                    i += 1
                } else {
                    isOpen.toggle()
                    isQuoted = true
                }
            } else if isOpen || ![UInt8(ascii: ","), 13, 10].contains(byte) {
                cell.append(byte)
            } else if byte != 13 {
                row.append((String(decoding: cell, as: UTF8.self), isQuoted))
                (cell, isQuoted) = ([], false)
                if byte == 10 {
                    rows.append(row)
                    row = []
                }
            }
        }
        return rows
    }

    private static func texts(_ random: inout SplitMix64) -> [String] {
        let parts = [
            "=", "+", "-", "@", "'", "\t", "\r", "\n", "\"", ",", " ", "1", "x", "＝", "é", "e\u{301}", "\u{202E}", "\u{0}", "\u{FEFF}",
        ]
        return (0..<1_000).map { _ in
            (0..<Int(random.next() % 6)).map { _ in parts[Int(random.next() % UInt64(parts.count))] }.joined()
        }
    }

    @Test func textsAreReadBackAndNoneBeginsAFormula() {
        var random = SplitMix64(seed: 7)
        let texts = Self.texts(&random)
        let table = ReportTable.users(texts.map { ByteString($0) })
        let raw = Self.parse(table.csv(for: .program))
        #expect(raw.first?.map(\.text) == ["user_id"] && raw.dropFirst().allSatisfy { $0.count == 1 && $0[0].isQuoted })
        #expect(raw.dropFirst().map { ByteString($0[0].text) } == texts.map { ByteString($0) })
        let guarded = Self.parse(table.csv(for: .spreadsheet)).dropFirst().map { $0[0] }
        #expect(guarded.count == texts.count)
        var changed = 0
        for (cell, text) in zip(guarded, texts) {
            let first = cell.text.unicodeScalars.first { $0 != " " }
            #expect(cell.isQuoted && first.map { !Self.risky.contains($0) } ?? true, "\(cell.text)")
            let bare = cell.text.unicodeScalars.first == "'" ? String(cell.text.unicodeScalars.dropFirst()) : cell.text
            #expect(ByteString(bare) == ByteString(text))
            changed += ByteString(cell.text) == ByteString(text) ? 0 : 1
        }
        #expect(changed > 100 && changed < 900)
    }

    @Test func numbersStayNumbers() throws {
        let values: [JSONValue] = [-5, 0, 7, -0.25, 1e300, -1e-7, true, false, .null, [], ["a": -1]]
        let cells = values.map { ReportTable.cell($0, for: .spreadsheet) }
        #expect(cells == ["-5", "0", "7", "-0.25", "1e+300", "-1e-07", "true", "false", "", "\"[]\"", "\"{\"\"a\"\":-1}\""])
        #expect(values.map { ReportTable.cell($0, for: .program) } == cells)
        let table = ReportTable("t", [[.init("a", -5)], [.init("b", "x"), .init("a", .null)], [.init("a", 1), .init("a", 2)]])
        #expect(table.columns == ["a", "b"] && table.rows == [[-5, .null], [.null, "x"], [1, .null]])
        let lines = table.jsonLines.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        #expect(lines == ["{\"a\":-5,\"b\":null}", "{\"a\":null,\"b\":\"x\"}", "{\"a\":1,\"b\":null}"])
        #expect(String(decoding: table.csv(for: .program), as: UTF8.self) == "a,b\r\n-5,\r\n,\"x\"\r\n1,\r\n")
    }

    /// A table without rows has the columns of one with rows, so that a reader finds them.
    @Test func emptyTablesHaveColumns() {
        let full: JSONValue = [
            "length": 2, "paths": [["events": ["a"], "users": 1, "share": 1]], "next": [["event": "a", "users": 1, "share": 1]],
        ]
        let none: JSONValue = ["length": 2, "paths": [], "next": [["event": .null, "users": 0, "share": .null]]]
        #expect(ReportTable.paths(full).map(\.columns) == ReportTable.paths(none).map(\.columns))
        let histogram: JSONValue = ["users": 1, "histogram": [["from_seconds": 0, "to_seconds": 1, "users": 1]]]
        #expect(ReportTable.times(histogram)[1].columns == ReportTable.times(["users": 0, "histogram": []])[1].columns)
        let steps: JSONValue = [["count": 1], ["count": 0]]
        let bucket: JSONValue = [
            "start": "s", "end": "e", "immature": false, "entered": 1, "converted": 0, "conversion": 0, "steps": steps,
        ]
        func trend(_ buckets: JSONValue) -> [ReportTable] { ReportTable.funnel(["steps": steps, "trend": ["buckets": buckets]]) }
        #expect(trend([bucket])[0].columns == trend([])[0].columns && trend([]).map(\.name) == ["trend", "steps"])
        #expect(String(decoding: ReportTable.users([]).csv(for: .program), as: UTF8.self) == "user_id\r\n")
        #expect(ReportTable.text([ReportTable.users([])]).isEmpty && ReportTable.users([]).jsonLines.isEmpty)
    }

    /// Members that a report of another release may have in another shape make empty cells.
    @Test func unexpectedShapesDoNotTrap() {
        let odd: [JSONValue] = [
            .null, [], [:], ["steps": 1], ["steps": [[:]], "previous": ["steps": []], "change": [:]],
            ["breakdown": ["rows": [[:]], "other": ["values_range": [3, 1]]]], ["variants": ["groups": [["conversion_ci": [1]]]]],
            ["length": -1, "paths": [["events": 1]], "next": [[:]]], ["length": .integer(Int64.max), "paths": [[:]]],
            ["events": [["steps": ["a"]]], "chosen": [1], "stopped": 1],
        ]
        for report in odd {
            for tables in [
                ReportTable.funnel(report), ReportTable.shownOfFunnel(report), ReportTable.paths(report), ReportTable.predictors(report),
                ReportTable.times(report), ReportTable.explanation(report),
            ] {
                for table in tables { #expect(table.rows.allSatisfy { $0.count == table.columns.count }) }
            }
        }
    }
}
