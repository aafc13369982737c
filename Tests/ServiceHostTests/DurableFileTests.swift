import Foundation
import ServiceRuntime
import Testing

/// Small files that are replaced whole.
@Suite(.timeLimit(.minutes(2)))
struct DurableFileTests {
    /// Runs the body with a new empty folder, and removes it.
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    private func names(_ folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }

    private func fault(_ path: String) -> String? {
        do throws(DurableFile.Fault) {
            try DurableFile.replace(path, with: [1, 2, 3])
            return nil
        } catch {
            return error.description
        }
    }

    @Test func aFileThatCannotBeReadIsNotTakenForNone() throws {
        try withFolder { folder in
            let path = folder + "/file"
            #expect(try DurableFile.readKept(path) == nil)
            let bytes = [UInt8](repeating: 7, count: 3 << 20)
            try DurableFile.replace(path, with: bytes)
            #expect(try DurableFile.readKept(path, bytesMax: 3 << 20) == bytes)
            #expect(throws: DurableFile.Fault.self) { try DurableFile.readKept(path, bytesMax: (3 << 20) - 1) }
            #expect(throws: DurableFile.Fault.self) { try DurableFile.readKept(folder) }
            // A FIFO without a writer is not waited for.
            #expect(mkfifo(folder + "/fifo", 0o600) == 0)
            #expect(throws: DurableFile.Fault.self) { try DurableFile.readKept(folder + "/fifo") }
        }
    }

    @Test(arguments: [0, 1, 4_096, 1 << 20])
    func whatWasWrittenIsReadAndNothingElseIsLeft(count: Int) throws {
        try withFolder { folder in
            let path = folder + "/file"
            for seed in 0..<3 {
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
                try DurableFile.replace(path, with: bytes)
                #expect(DurableFile.read(path) == bytes)
                #expect(try names(folder) == ["file"])
            }
            // It may hold keys.
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test func theOldFileIsLeftAsItWas() throws {
        try withFolder { folder in
            let (path, link) = (folder + "/file", folder + "/link")
            try DurableFile.replace(path, with: Array("the old one".utf8))
            // A second name of the old file: a crash would find it, or the new one, and never a mixture.
            try FileManager.default.linkItem(atPath: path, toPath: link)
            try DurableFile.replace(path, with: Array("new".utf8))
            #expect(DurableFile.read(link) == Array("the old one".utf8) && DurableFile.read(path) == Array("new".utf8))
        }
    }

    @Test func aReaderSeesOneOfBothWhole() throws {
        try withFolder { folder in
            let path = folder + "/file"
            let (a, b) = ([UInt8](repeating: 1, count: 100_000), [UInt8](repeating: 2, count: 200_000))
            try DurableFile.replace(path, with: a)
            let writer = Thread {
                for i in 0..<50 { try? DurableFile.replace(path, with: i % 2 == 0 ? b : a) }
                try? DurableFile.replace(path, with: [3])
            }
            writer.start()
            repeat {
                let found = DurableFile.read(path)
                #expect(found == a || found == b || found == [3], "\(found?.count ?? -1) bytes")
            } while !writer.isFinished
            #expect(DurableFile.read(path) == [3])
        }
    }

    @Test func whatACrashLeftIsWrittenOver() throws {
        try withFolder { folder in
            let path = folder + "/file"
            try Data(repeating: 9, count: 100_000).write(to: URL(fileURLWithPath: path + ".tmp"))
            try DurableFile.replace(path, with: [1, 2, 3])
            #expect(try DurableFile.read(path) == [1, 2, 3] && names(folder) == ["file"])
        }
    }

    @Test func aMissingFolderIsAnErrorWithItsPath() throws {
        try withFolder { folder in
            let path = folder + "/missing/file"
            let found = fault(path)
            #expect(found?.contains(path) == true && found?.contains("No such file or directory") == true, "\(found ?? "none")")
            try DurableFile.replace(folder + "/plain", with: [])
            #expect(fault(folder + "/plain/file")?.contains("Not a directory") == true)
            #expect(try names(folder) == ["plain"])
        }
    }

    @Test func aFailureLeavesNoTemporaryFile() throws {
        try withFolder { folder in
            let path = folder + "/folder"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try DurableFile.replace(path + "/inside", with: [])
            let found = fault(path)
            #expect(found?.hasPrefix("cannot rename \(path): ") == true, "\(found ?? "none")")
            #expect(try names(folder) == ["folder"] && names(path) == ["inside"])
        }
    }

    @Test func whatIsNoFileOfAMegabyteIsNotRead() throws {
        try withFolder { folder in
            #expect(DurableFile.read(folder + "/missing") == nil && DurableFile.read("") == nil)
            // Such as a configuration that was mounted as a folder: it is not an empty file.
            #expect(DurableFile.read(folder) == nil)
            let path = folder + "/file"
            try DurableFile.replace(path, with: [UInt8](repeating: 0, count: (1 << 20) + 1))
            #expect(DurableFile.read(path) == nil)
        }
    }
}
