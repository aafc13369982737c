import Codec
import Foundation

/// A fault of a file as a whole, in words.
package struct FileFault: Error, CustomStringConvertible, Sendable {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Why the last call of the system failed.
package enum SystemWords {
    package static var last: String { String(cString: strerror(errno)) }
}

/// Names as a shell takes them for one word.
package func shellWord(_ text: String) -> String {
    let isPlain =
        !text.isEmpty
        && text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "._-/+@%,:=".utf8.contains(byte)
        }
    return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
}

/// The text of a file or of standard input, decompressed, piece by piece: memory does not grow with the file.
package final class TextSource {
    private let handle: FileHandle
    private let name: String
    private var decoder: (any Decoder)?
    private var isStarted = false
    /// What was read and not decoded yet.
    private var encoded: [UInt8] = []
    /// As stored, before decompression.
    package private(set) var bytesRead = 0
    /// As stored; nil where it is not known beforehand.
    package let size: Int?

    /// A piece of compressed bytes makes at most about a thousand times as much text.
    private static let encodedPiece = 16 << 10
    static let pieceBytes = 256 << 10

    /// - Parameter path: `-` is standard input.
    package init(path: String) throws {
        name = path == "-" ? "the input" : path
        if path == "-" {
            handle = .standardInput
            size = nil
        } else {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
                throw FileFault("there is no file \(path)")
            }
            guard !isDirectory.boolValue else { throw FileFault("\(path) is a directory") }
            guard let opened = FileHandle(forReadingAtPath: path) else { throw FileFault("\(path) cannot be read") }
            handle = opened
            size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        }
    }

    /// The next bytes of the text; nil at its end.
    package func next() throws -> [UInt8]? {
        while true {
            if !isStarted { try start() }
            if let text = try decoder?.next() { return text }
            if encoded.isEmpty { try fill() }
            if encoded.isEmpty {
                try decoder?.finish()
                return nil
            }
            guard let decoder else {
                defer { encoded.removeAll() }
                return encoded
            }
            let piece = Array(encoded.prefix(Self.encodedPiece))
            encoded.removeFirst(piece.count)
            decoder.feed(piece)
        }
    }

    private func fill() throws {
        do {
            guard let data = try handle.read(upToCount: Self.pieceBytes), !data.isEmpty else { return }
            bytesRead += data.count
            encoded += data
        } catch {
            throw FileFault("\(name) cannot be read: \(SystemWords.last)")
        }
    }

    private func start() throws {
        // Pipes give what they have; a format shows in its first bytes.
        var before = -1
        while encoded.count < 16, encoded.count != before {
            before = encoded.count
            try fill()
        }
        isStarted = true
        decoder = try FileFormat.decoder(for: encoded, name: name)
    }
}

/// Decompression in pieces of bounded size.
protocol Decoder: AnyObject {
    /// Takes more compressed bytes; all earlier ones were read.
    func feed(_ bytes: [UInt8])
    /// Some of the text; nil where more bytes are needed.
    func next() throws -> [UInt8]?
    /// An error where the data ended early.
    func finish() throws
}

final class GzipDecoder: Decoder {
    private let inflate: Inflate
    private let name: String
    private var input: [UInt8] = []
    private var isDamaged = false

    init(name: String) throws {
        inflate = try Inflate(limit: .max, takesPadding: true)
        self.name = name
    }

    func feed(_ bytes: [UInt8]) { input = bytes }

    func next() throws -> [UInt8]? {
        if isDamaged { throw FileFault("\(name): the gzip data is damaged; the text before the damage was read") }
        if input.isEmpty { return nil }
        defer { input = [] }
        var text: [UInt8] = []
        do {
            try inflate.feed(input, into: &text)
        } catch {
            isDamaged = true
            if text.isEmpty { return try next() }
        }
        return text.isEmpty ? nil : text
    }

    func finish() throws {
        do {
            try inflate.finish()
        } catch {
            throw FileFault("\(name): the gzip data ends early; the text before that was read")
        }
    }
}
