import Codec
import Foundation
import FunnelModel

/// A fault of a file as a whole.
package struct FileFault: Error, CustomStringConvertible, Sendable {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// The text of `errno`.
package enum SystemWords {
    package static var last: String { String(cString: strerror(errno)) }
}

/// The text quoted for a shell, as one word.
package func shellWord(_ text: String) -> String {
    let isPlain =
        !text.isEmpty
        && text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "._-/+@%,:=".utf8.contains(byte)
        }
    return isPlain ? text : "'" + text.escaping("'", as: "'\\''") + "'"
}

/// Reads the text of a file or of standard input in pieces, decompressed. Memory does not grow with the file.
package final class TextSource {
    private let handle: FileHandle
    private let name: String
    private var decoder: FileDecoder?
    private var isStarted = false
    /// Bytes that were read and are not decoded yet.
    private var encoded: [UInt8] = []
    /// Bytes read, as stored (before decompression).
    package private(set) var bytesRead = 0
    /// Bytes of the file as stored; nil if not known, as for standard input.
    package let size: Int?

    /// Compressed bytes that a decoder gets at once.
    private static let encodedPiece = 16 << 10
    private static let pieceBytes = 256 << 10

    /// Opens a file; `-` is standard input.
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
        // A pipe may return fewer bytes than asked for, and the first ones decide the format.
        var before = -1
        while encoded.count < 16, encoded.count != before {
            before = encoded.count
            try fill()
        }
        isStarted = true
        decoder = try FileFormat.decoder(for: encoded, name: name)
    }
}

/// Decompression with the file's name in errors.
final class FileDecoder {
    /// As much as `zstd` itself takes without `--long`; the memory of a window is taken once.
    private static let windowBits: Int32 = 27

    private let decompressor: any Decompressor
    private let compression: Compression
    private let name: String

    init(_ compression: Compression, name: String) throws {
        decompressor = try compression.decompressor(limit: .max, takesPadding: true, windowBits: Self.windowBits)
        self.compression = compression
        self.name = name
    }

    func feed(_ bytes: [UInt8]) { decompressor.feed(bytes) }

    /// The next part of the text; nil if more bytes are needed.
    func next() throws -> [UInt8]? {
        var text: [UInt8] = []
        do {
            return try decompressor.next(into: &text) ? text : nil
        } catch {
            throw FileFault("\(name): \(error.description); the text before the damage was read")
        }
    }

    func finish() throws {
        do {
            try decompressor.finish()
        } catch {
            throw FileFault("\(name): the \(compression.rawValue) data ends early; the text before that was read")
        }
    }
}
