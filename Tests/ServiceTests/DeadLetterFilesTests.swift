import Foundation
import FunnelModel
import FunnelProtocol
import IngestService
import Testing

/// Files of rejected events, on a real disk.
struct DeadLetterFilesTests {
    private static let mebibyte = 1 << 20

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-rejected-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.appendingPathComponent("rejected").path)
    }

    private func lines(_ path: String) -> [String] {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func mode(_ path: String) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int ?? -1
    }

    /// A line of this length, with its line feed.
    private func line(_ text: String, _ bytes: Int = 0) -> [UInt8] {
        Array((text + String(repeating: "x", count: max(0, bytes - text.utf8.count - 1)) + "\n").utf8)
    }

    /// A box, since expectations cannot change values.
    private final class Files {
        private var value: DeadLetterFiles
        init(_ directory: String) { value = DeadLetterFiles(directory: directory, bytesMax: DeadLetterFilesTests.mebibyte) }
        var bytes: Int { value.bytes }
        var projects: [UInt32] { value.projects }
        func append(_ lines: [[UInt8]], project: UInt32) -> (kept: Int, fault: String?) { value.append(lines, project: project) }
        func lastLines(_ project: UInt32, bytesMax: Int) -> [String] {
            value.lastLines(project, bytesMax: bytesMax).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Bytes of all files in a directory.
    private func total(_ folder: String) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).reduce(0) {
            $0 + (FileManager.default.contents(atPath: "\(folder)/\($1)")?.count ?? 0)
        }
    }

    @Test func linesAreAppendedForTheOwnerAlone() throws {
        try withFolder { folder in
            let files = Files(folder)
            #expect(files.append([line("a"), line("b")], project: 1) == (2, nil))
            #expect(files.append([line("c")], project: 2) == (1, nil))
            #expect(files.append([], project: 3) == (0, nil))
            #expect(lines("\(folder)/1.ndjson") == ["a", "b"] && lines("\(folder)/2.ndjson") == ["c"])
            #expect(mode("\(folder)/1.ndjson") == 0o600 && mode(folder) == 0o700)
            #expect(files.bytes == 6 && files.projects == [1, 2])
            // After a restart, the same files go on.
            let again = Files(folder)
            #expect(again.bytes == 6 && again.projects == [1, 2])
            _ = again.append([line("d")], project: 1)
            #expect(lines("\(folder)/1.ndjson") == ["a", "b", "d"])
            #expect(again.lastLines(1, bytesMax: 100) == ["a", "b", "d"])
            // Of a part of the file, only whole lines.
            #expect(again.lastLines(1, bytesMax: 3) == ["d"])
        }
    }

    @Test func aTornLineIsCutOff() throws {
        for (text, rest) in [("a\nb\n{\"time\":", ["a", "b"]), ("{\"ti", []), ("a\n", ["a"]), ("", [])] as [(String, [String])] {
            try withFolder { folder in
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/5.ndjson"))
                let files = Files(folder)
                _ = files.append([line("next")], project: 5)
                #expect(lines("\(folder)/5.ndjson") == rest + ["next"])
            }
        }
    }

    @Test func aProjectKeepsItsLastLinesInTwoFiles() throws {
        try withFolder { folder in
            let files = Files(folder)
            // A quarter has 16 of these lines.
            for i in 0..<100 { #expect(files.append([line("line \(i) ", 16 << 10)], project: 1) == (1, nil)) }
            #expect(total(folder) <= Self.mebibyte / 2)
            let kept = (lines("\(folder)/1.old.ndjson") + lines("\(folder)/1.ndjson")).map { $0.split(separator: " ")[1] }
            #expect(kept == (100 - kept.count..<100).map { "\($0)" } && kept.count > 16)
            #expect(mode("\(folder)/1.old.ndjson") == 0o600)
            // Many lines at once rotate in the same way, and a line over the size of a file is left out.
            let (done, fault) = files.append((0..<40).map { line("more \($0) ", 16 << 10) } + [line("long", 300 << 10)], project: 1)
            #expect(done == 40 && fault?.contains("a file may have 262144") == true)
            #expect(lines("\(folder)/1.ndjson").last?.hasPrefix("more 39 ") == true)
            #expect(files.bytes == total(folder))
        }
    }

    @Test func oneProjectDoesNotTakeTheShareOfOthers() throws {
        try withFolder { folder in
            let files = Files(folder)
            for project in 2...9 as ClosedRange<UInt32> { _ = files.append([line("small \(project)", 8 << 10)], project: project) }
            for i in 0..<200 {
                _ = files.append([line("flood \(i) ", 16 << 10)], project: 1)
                _ = files.append([line("flood \(i) ", 16 << 10)], project: 10)
                _ = files.append([line("flood \(i) ", 16 << 10)], project: 11)
                #expect(files.bytes <= Self.mebibyte)
            }
            #expect(total(folder) == files.bytes)
            for project in 2...9 { #expect(lines("\(folder)/\(project).ndjson").count == 1, "\(project)") }
            for project in [1, 10, 11] { #expect(lines("\(folder)/\(project).ndjson").last?.hasPrefix("flood 199 ") == true) }
        }
    }

    @Test func whatIsNoFileOfOursIsNotWritten() throws {
        try withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            // Neither the file that a link leads to is changed, nor is a reader of a FIFO waited for.
            let other = folder + "/other"
            _ = FileManager.default.createFile(atPath: other, contents: Data("no line end".utf8))
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/1.ndjson", withDestinationPath: other)
            #expect(mkfifo("\(folder)/3.ndjson", 0o600) == 0)
            let files = Files(folder)
            let (kept, fault) = files.append([line("a")], project: 1)
            #expect(kept == 0 && fault?.contains("cannot open") == true)
            #expect(files.append([line("a")], project: 3).fault != nil)
            #expect(files.append([line("b")], project: 2) == (1, nil))
            #expect(try String(contentsOfFile: other, encoding: .utf8) == "no line end")
        }
        try withFolder { folder in
            // A file in the place of the directory.
            _ = FileManager.default.createFile(atPath: folder, contents: Data())
            let files = Files(folder)
            #expect(files.append([line("a")], project: 1).fault?.contains("cannot open") == true)
        }
    }
}

/// Where rejected events are in a body.
struct RecordRangesTests {
    @Test func linesAreThoseThatTheScannerCounts() throws {
        let body = Array("\u{FEFF}{\"a\":1}\n\n  \t\r\n{\"b\":\r{}\r\n \n{\"event\":\"E\"}\n7".utf8)
        let scanned = try EventScanner.lines(body, now: 0)
        let ranges = RecordRanges.lines(body)
        #expect(scanned.rejected.map(\.index) == Array(ranges.indices))
        #expect(ranges.map { String(decoding: body[$0], as: UTF8.self) } == ["{\"a\":1}", "{\"b\":", "{}", "{\"event\":\"E\"}", "7"])
    }

    @Test func elementsAreThoseThatTheScannerCounts() throws {
        let list = #"[ {"a":[1,{"b":"]"}]} ,7,"x", {"c":1} ]"#
        for text in [list, "{\"events\": \(list)}", "{\"other\":1,\"events\":\(list)}"] {
            let body = Array(text.utf8)
            let scanned = try EventScanner.list(body, now: 0)
            let ranges = RecordRanges.list(body)
            #expect(scanned.rejected.map(\.index) == Array(ranges.indices))
            #expect(ranges.map { String(decoding: body[$0], as: UTF8.self) } == [#"{"a":[1,{"b":"]"}]}"#, "7", "\"x\"", "{\"c\":1}"])
        }
        #expect(RecordRanges.list(Array("[1".utf8)).isEmpty)
    }
}
