import Foundation

/// `embed-files OUTPUT FOLDER FILE...`: writes Swift source with the files' text, by their paths in the folder.
@main
enum EmbedFilesTool {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3 else { throw Fault(text: "usage: embed-files OUTPUT FOLDER FILE...") }
        let folder = arguments[2] + "/"
        let entries = try arguments.dropFirst(3).map { file in
            guard file.hasPrefix(folder) else { throw Fault(text: "\(file) is not in \(folder)") }
            guard let text = String(data: try Data(contentsOf: URL(fileURLWithPath: file)), encoding: .utf8) else {
                throw Fault(text: "\(file) is not UTF-8 text")
            }
            return "        \(literal(String(file.dropFirst(folder.count)))): Array(\(literal(text)).utf8),\n"
        }
        // One string a file: the compiler is slow with arrays of numbers.
        let source = """
            /// The text of the target's files that are not Swift, by path.
            enum EmbeddedFiles {
                static let all: [String: [UInt8]] = [
            \(entries.isEmpty ? "        :\n" : entries.joined())    ]
            }

            """
        try Data(source.utf8).write(to: URL(fileURLWithPath: arguments[1]))
    }

    private static func literal(_ text: String) -> String {
        var literal = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": literal += "\\\(scalar)"
            case "\n": literal += "\\n"
            case _ where scalar.value < 32 || scalar.value == 127: literal += "\\u{\(String(scalar.value, radix: 16))}"
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }
}

private struct Fault: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}
