import EventFiles
import FunnelModel
import ServiceRuntime

/// A file with one document, YAML or JSON.
enum DocumentFile {
    /// Reads a file; `-` is standard input.
    static func read(_ path: String) throws -> JSONValue {
        let shown = path == "-" ? "the document" : path.printable
        do {
            let text = try text(path)
            return try checking(shown) { () throws(InvalidDocument) in try YAMLDocument.json(text) }
        } catch let fault as FileFault {
            throw Failure(fault.description.printable)
        }
    }

    /// The documents of a file, which `---` separates. Throws `InvalidDocument` if the file or its text cannot be read.
    static func parts(_ path: String) throws -> [YAMLDocument.Part] {
        do {
            return try YAMLDocument.parts(try text(path))
        } catch let fault as FileFault {
            throw InvalidDocument([FieldFault("file", fault.description)])
        }
    }

    /// Text of a file, no more of it than one byte over the limit of documents and a piece.
    private static func text(_ path: String) throws -> String {
        var bytes: [UInt8] = []
        let source = try TextSource(path: path)
        while bytes.count <= YAMLDocument.textBytes, let piece = try source.next() { bytes += piece }
        guard isValidUTF8(bytes) else { throw FileFault("\(path == "-" ? "the document" : path): the text is not UTF-8") }
        return String(decoding: bytes[ByteOrderMark.length(in: bytes)...], as: UTF8.self)
    }

    /// Faults as an error with a line for each.
    static func checking<T>(_ shown: String, _ body: () throws(InvalidDocument) -> T) throws -> T {
        do throws(InvalidDocument) {
            return try body()
        } catch {
            throw Failure(([shown + ":"] + error.faults.map { "  " + "\($0.field): \($0.reason)".printable }).joined(separator: "\n"))
        }
    }

    /// The id of a document.
    static func id(of document: JSONValue, _ path: String) throws -> String {
        guard let id = document["id"]?.asString?.string, FunnelDefinition.isValidID(ByteString(id)) else {
            throw Failure(
                "\(path.printable) has no \"id\" of the form [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}: add the id to save it under")
        }
        return id
    }
}
