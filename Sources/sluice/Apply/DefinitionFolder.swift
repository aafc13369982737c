import EventFiles
import Foundation
import FunnelModel
import ServiceRuntime

/// The files of `sluice apply`: all documents of a folder and of those in it.
struct DefinitionFolder {
    private(set) var definitions: [Definition] = []
    /// Lines that name file, document and fault.
    private(set) var faults: [String] = []

    private static let extensions = ["yaml", "yml", "json"]
    /// As many as the coordinator remembers of a set.
    private static let documentsMax = 2_000

    /// Reads all files; what is wrong with them is in `faults`.
    init(_ path: String) throws {
        let names = try Self.files(path)
        guard !names.isEmpty else { throw Failure("\(path.printable) has no file .yaml, .yml or .json") }
        for name in names {
            do {
                let parts = try DocumentFile.parts(path + "/" + name)
                for part in parts { read(part, "\(name):\(part.line)".printable) }
            } catch let fault as InvalidDocument {
                add(fault, name.printable)
            }
        }
        if definitions.count > Self.documentsMax {
            faults.append("\(path.printable) has \(definitions.count) documents; the limit is \(Self.documentsMax)")
        }
        checkTogether()
    }

    /// Paths below a folder, in order. Hidden files and folders are left out, and folders that are links are not followed.
    private static func files(_ path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure("there is no folder \(path.printable)")
        }
        guard isFolder.boolValue else { throw Failure("\(path.printable) is a file; 'sluice apply' takes the folder that it is in") }
        guard let walker = FileManager.default.enumerator(atPath: path) else { throw Failure("\(path.printable) cannot be read") }
        let names = walker.compactMap { $0 as? String }.filter { name in
            !name.split(separator: "/").contains { $0.hasPrefix(".") } && extensions.contains((name as NSString).pathExtension)
        }
        return names.sorted()
    }

    private mutating func read(_ part: YAMLDocument.Part, _ place: String) {
        do throws(InvalidDocument) {
            definitions.append(try Definition(try part.value.get(), place: place))
        } catch {
            let name = (try? part.value.get()).flatMap { document -> String? in
                guard let kind = document["kind"]?.asString, let id = document["id"]?.asString else { return nil }
                return "\(kind.string) \(id.string)".printable
            }
            add(error, name.map { "\(place) (\($0))" } ?? place)
        }
    }

    private mutating func add(_ fault: InvalidDocument, _ place: String) {
        faults += ["\(place):"] + fault.faults.map { "  " + "\($0.field): \($0.reason)".printable }
    }

    /// Adds faults of a document that are about others too.
    mutating func add(_ reasons: String..., to definition: Definition) { add(reasons, to: definition) }

    mutating func add(_ reasons: [String], to definition: Definition) {
        guard !reasons.isEmpty else { return }
        faults += ["\(definition.place) (\(definition.name)):"] + reasons.map { "  " + $0.printable }
    }

    private mutating func checkTogether() {
        var first: [DocumentName: Definition] = [:]
        var marked: Definition?
        for definition in definitions {
            if let other = first[definition.name] {
                add("\(definition.name) is in \(other.place) too; give it once", to: definition)
            } else {
                first[definition.name] = definition
            }
            guard definition.kind == .funnel, definition.shown["default"] == true else { continue }
            if let marked {
                add("default: the funnel \(marked.id) in \(marked.place) is the default too; only one can be", to: definition)
            }
            marked = marked ?? definition
        }
    }
}
