import Codec
import EventFiles
import EventShapes
import Foundation
import FunnelModel
import Testing

struct TextTests {
    private let head = "user_id,event,timestamp,note\n"

    @Test func strayQuoteCostsItsOwnLine() throws {
        let file = try ReadFile(
            head + """
                u1,View,2026-01-01T10:00:00Z,ok
                u2,View,2026-01-01T10:00:00Z,"half open
                u3,View,2026-01-01T10:00:00Z,ok
                u4,View,2026-01-01T10:00:00Z,"half again
                u5,View,2026-01-01T10:00:00Z,ok

                """)
        #expect(file.events.map(\.user) == ["u1", "u3", "u5"])
        #expect(file.rejected.map(\.lines) == [3...3, 5...5])
        #expect(file.rejected[0].reason.contains("closing quote"))
        let plain = try ReadFile(head + "u2,View,2026-01-01T10:00:00Z,\"half open\n", ReadFile.options { $0.table.hasQuotes = false })
        #expect(plain.values(of: "note") == [.string("\"half open")])
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func lineEndsOfEveryKind(end: String) throws {
        let text = [
            "user_id,event,timestamp,note", "u1,View,2026-01-01,a", "", "u2,View,2026-01-01,\"two\(end)lines, \"\"quoted\"\"\"",
            "u3,View,bad,c",
        ].joined(separator: end)
        let file = try ReadFile(text)
        #expect(file.events.map(\.user) == ["u1", "u2"])
        #expect(file.values(of: "note")[1] == .string(ByteString("two\(end)lines, \"quoted\"")))
        #expect(file.lines == [2...2, 4...5])
        #expect(file.rejected.map(\.lines) == [6...6])
        let lines = try ReadFile(
            [#"{"user_id":"u1","event":"A","timestamp":"2026-01-01"}"#, "", #"{"user_id":"u2","event":"A","timestamp":"2026-01-01"}"#]
                .joined(separator: end))
        #expect(lines.lines == [1...1, 3...3])
    }

    @Test(arguments: [",", ";", "\t", "|"])
    func separatorIsGuessedFromTheHeader(separator: String) throws {
        let text = "user_id,event,timestamp,note\nu1,View,2026-01-01,x\n".replacing(",", with: separator)
        let file = try ReadFile(text)
        #expect(file.values(of: "note") == [.string("x")])
    }

    @Test func byteOrderMarkIsSkipped() throws {
        #expect(try ReadFile("\u{FEFF}user_id,event,timestamp\nu1,View,2026-01-01\n").events.count == 1)
        #expect(try ReadFile("\u{FEFF}{\"user_id\":\"u\",\"event\":\"e\",\"timestamp\":\"2026-01-01\"}").events.count == 1)
    }

    @Test func headerFaultsNameTheColumn() throws {
        func fault(_ text: String, _ options: FileOptions = ReadFile.options()) -> String {
            do {
                _ = try ReadFile(text, options)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(fault("user_id,event,timestamp,event\nu1,View,2026-01-01,Other\n").contains("two columns \"event\""))
        #expect(fault("user_id,event,timestamp,plan,plan\nu1,View,2026-01-01,pro,free\n").contains("\"plan\""))
        let lacking = fault("customer,event,timestamp\nu1,View,2026-01-01\n")
        #expect(lacking.contains("\"user_id\"") && lacking.contains("\"customer\", \"event\", \"timestamp\""))
        #expect(fault("[{\"user_id\":1}]").contains("jq -c"))
    }

    @Test func jsonOverSeveralLinesIsNamed() throws {
        let file = try TestFile("{\n  \"user_id\": \"u\"\n}\n")
        defer { file.remove() }
        let source = try EventFile(path: file.url.path, options: ReadFile.options(), now: ReadFile.now)
        #expect(try source.next(rows: 10, bytes: 1 << 20)?.outcomes.count == 3)
        #expect(source.advice.first?.contains("jq -c .") == true)
    }

    @Test func excelsSeparatorLineIsNoRecord() throws {
        #expect(try ReadFile("sep=;\r\nuser_id;event;timestamp\r\nu1;View;2026-01-01\r\n").lines == [3...3])
    }

    @Test func namelessColumnIsLeftOut() throws {
        let file = try ReadFile(",user_id,event,timestamp\n0,u1,View,2026-01-01T10:00:00Z\n")
        #expect(file.events.count == 1 && file.events[0].properties.isEmpty)
    }

    @Test(arguments: [
        ([0xFF, 0xFE, 0x75, 0] as [UInt8], "UTF-16"), ([0xFE, 0xFF, 0, 0x75], "UTF-16"), ([0x75, 0, 0x73, 0, 0x65, 0], "UTF-16"),
        (Array("PK\u{3}\u{4}rest".utf8), "zip"), (Array("PAR1....".utf8), "Parquet"), ([0x28, 0xB5, 0x2F, 0xFD, 0, 0], "zstd"),
        (Array("BZh91AY".utf8), "bzip2"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0, 0], "xz"),
    ])
    func otherFormatsAreNamed(bytes: [UInt8], format: String) throws {
        #expect {
            _ = try ReadFile(bytes)
        } throws: { "\($0)".contains(format) }
    }

    @Test func latin1IsRejectedWithAdvice() throws {
        let file = try ReadFile(Array((head + "u1,View,2026-01-01,caf").utf8) + [0xE9] + Array("\nu2,View,2026-01-01,tea\n".utf8))
        #expect(file.events.map(\.user) == ["u2"])
        #expect(file.rejected[0].reason.hasPrefix("note: is not UTF-8") && file.rejected[0].reason.contains("iconv -f LATIN1"))
    }

    @Test func gzipOfManyMembersAndZerosBehind() throws {
        let parts = [head + "u1,View,2026-01-01,a\nu2,Vi", "ew,2026-01-01,b\n"].map { Gzip.encode(Array($0.utf8)) ?? [] }
        #expect(try ReadFile(parts[0] + parts[1]).events.count == 2)
        #expect(try ReadFile(parts[0] + parts[1] + [UInt8](repeating: 0, count: 700)).events.count == 2)
        #expect {
            _ = try ReadFile(Array((parts[0] + parts[1]).dropLast(9)))
        } throws: { "\($0)".contains("ends early") }
        // What stands before the damage is read.
        let file = try TestFile(parts[0] + parts[1].prefix(12))
        defer { file.remove() }
        let source = try EventFile(path: file.url.path, options: ReadFile.options(), now: ReadFile.now)
        #expect(try source.next(rows: 100, bytes: 1 << 20)?.batch.count == 1)
        #expect(throws: FileFault.self) { try source.next(rows: 100, bytes: 1 << 20) }
    }

    @Test func recordsAreBounded() throws {
        let long = String(repeating: "x", count: 1_200_000)
        let file = try ReadFile(head + "u1,View,2026-01-01,\(long)\nu2,View,2026-01-01,\"\(long)\nu3,View,2026-01-01,ok\n")
        #expect(file.events.map(\.user) == ["u3"])
        #expect(file.rejected.map(\.lines) == [2...2, 3...3])
        let lines = try ReadFile("{\"user_id\":\"\(long)\"}\n{\"user_id\":\"u\",\"event\":\"e\",\"timestamp\":\"2026-01-01\"}\n")
        #expect(lines.events.count == 1 && lines.rejected.map(\.lines) == [1...1])
    }

    @Test func noPartOfALongRecordBecomesAnEvent() throws {
        let size = 1 << 20
        let start = "u1,Visit,2026-01-01,\""
        // The closing quote is the last byte within the limit.
        let long = start + String(repeating: "x", count: size - start.utf8.count - 1) + "\""
        let file = try ReadFile(head + "u0,Visit,2026-01-01,1\n" + long + ",Zevil,Purchase,2026-01-01,stolen\nu9,Visit,2026-01-01,9\n")
        #expect(file.events.map(\.user) == ["u0", "u9"] && file.rejected.map(\.lines) == [3...3] && file.lines == [2...2, 4...4])
        // As long as allowed.
        let most = "u1,Visit,2026-01-01," + String(repeating: "x", count: size - "u1,Visit,2026-01-01,".utf8.count)
        #expect(try ReadFile(head + most + "\n").rejected.first?.reason.contains("the limit is") == true)
    }

    @Test func linesThatAllOpenAQuoteAreReadInTime() throws {
        let file = try ReadFile(head + String(repeating: "a\",\"b\n", count: 40_000))
        #expect(file.rejected.count + file.events.count == 40_000)
    }

    @Test func headersInBracketsAreNoList() throws {
        let file = try ReadFile(
            "[user_id],[event],[timestamp]\nu,A,2026-01-01\n",
            ReadFile.options {
                ($0.shape.user, $0.shape.event, $0.shape.time) = (["[user_id]"], ["[event]"], ["[timestamp]"])
                $0.required = []
            })
        #expect(file.events.count == 1)
    }

    @Test func wordsOfAShellAreQuoted() {
        #expect(shellWord("a/b-1.csv") == "a/b-1.csv")
        #expect(shellWord("x; touch y") == "'x; touch y'" && shellWord("it's $(id)") == "'it'\\''s $(id)'")
    }

    @Test func fieldCountsAreChecked() throws {
        let file = try ReadFile(head + "u1,View,2026-01-01,a,\nu2,View,2026-01-01\nu3,View,2026-01-01,a,b\n")
        #expect(file.events.map(\.user) == ["u1"])
        #expect(
            file.rejected.map(\.reason) == ["the record has 3 fields; there are 4 columns", "the record has 5 fields; there are 4 columns"])
    }
}
