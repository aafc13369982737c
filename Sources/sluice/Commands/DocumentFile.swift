import EventFiles
import FunnelModel
import ServiceRuntime

/// A file with one document, YAML or JSON.
enum DocumentFile {
    /// Reads a file; `-` is standard input.
    static func read(_ path: String, limit: Int = YAMLDocument.textBytes) throws -> JSONValue {
        let shown = path == "-" ? "the document" : path.printable
        var bytes: [UInt8] = []
        do {
            let source = try TextSource(path: path)
            while bytes.count <= limit, let piece = try source.next() { bytes += piece }
        } catch let fault as FileFault {
            throw Failure(fault.description.printable)
        }
        guard isValidUTF8(bytes) else { throw Failure("\(shown): the text is not UTF-8") }
        return try checking(shown) { () throws(InvalidDocument) in
            try YAMLDocument.json(String(decoding: bytes[ByteOrderMark.length(in: bytes)...], as: UTF8.self))
        }
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
