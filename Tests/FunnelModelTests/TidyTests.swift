import Foundation
import TestSupport
import Testing

/// Rules of the house that a compiler does not know.
struct TidyTests {
    private static let sources: [(path: String, text: String)] = {
        let root = Repository.root.appendingPathComponent("Sources")
        let walker = FileManager.default.enumerator(atPath: root.path)
        return (walker?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".swift") }.map { path in
            (path, (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? "")
        }
    }()

    @Test func noFileIsTooLong() {
        #expect(!Self.sources.isEmpty)
        for (path, text) in Self.sources { #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 600, "\(path)") }
    }

    @Test func nothingIsLeftBehind() {
        for (path, text) in Self.sources {
            for banned in ["TODO", "FIXME", "XXX", "nonisolated(unsafe)"] { #expect(!text.contains(banned), "\(path): \(banned)") }
        }
    }

    /// The only places that may trap, with the reason. None depends on bytes from a peer or a disk.
    private static let traps = [
        "FunnelModel/Events/StringInterner.swift: precondition(": "unchecked loads: an offset out of range would read foreign memory",
        "HTTP2/Session/HTTP2Session.swift: precondition(": "libnghttp2 must not be called from its own callbacks",
        "ServiceRuntime/Turns/WorkThreads.swift: preconditionFailure(": "a value handed over twice is a fault of the program",
    ]

    @Test func trapsAreListed() {
        var found: Set<String> = []
        for (path, text) in Self.sources {
            for line in text.split(separator: "\n") {
                let code = Self.code(line)
                for trap in ["precondition(", "preconditionFailure(", "fatalError(", "assert(", "assertionFailure(", "try!", "as!"]
                where code.contains(trap) { found.insert("\(path): \(trap)") }
                // Names of header fields are constants.
                let unwrapped = code.replacing(#/HTTPField\.Name\(""\)!/#, with: "")
                #expect(unwrapped.firstMatch(of: #/[\w)\]]!(?!=)/#) == nil, "\(path): \(line)")
            }
        }
        #expect(found == Set(Self.traps.keys))
    }

    /// A line without its comment and the contents of its strings.
    private static func code(_ line: Substring) -> String {
        String(line).replacing(#/"(?:\\.|[^"\\])*"/#, with: "\"\"").replacing(#/\/\/.*/#, with: "")
    }

    /// A file that declares types is named after one of them: `Type.swift` or `Type+Aspect.swift`. A file of extensions or
    /// functions alone is named after its subject.
    @Test func filesAreNamedAfterTheirTypes() {
        let declaration = #/(?m)^(?:@\w+ )*(?:package |public |final |indirect )*(?:struct|class|enum|actor|protocol) (\w+)/#
        for (path, text) in Self.sources {
            let types = text.matches(of: declaration).map { String($0.1) }
            guard !types.isEmpty, !path.hasSuffix("/Main.swift") else { continue }
            let name = path.split(separator: "/").last?.prefix { $0 != "." && $0 != "+" } ?? ""
            let hasOwn = types.contains(String(name)) || text.contains("extension \(name)") || text.contains("private struct \(name)")
            #expect(hasOwn, "\(path) declares \(types.joined(separator: ", "))")
        }
    }

    /// Words that `.github/STYLE.md` replaces by the field's terms, in comments and texts.
    @Test func wordsAreThoseOfTheField() {
        let banned = #/(?i)\b(?:whoever|whatever|so many|tells? (?:of|which|whether|what|how)|is told|are told|of yet|at hand)\b/#
        for (path, text) in Self.sources {
            for line in text.split(separator: "\n") where line.contains("//") || line.contains("\"") {
                #expect(line.firstMatch(of: banned) == nil, "\(path): \(line)")
            }
        }
    }

    /// `Sources/README.md` has a row for each target, which says what it may import.
    @Test func targetsImportWhatTheArchitecturePageAllows() throws {
        let page = String(decoding: try Repository.bytes("Sources/README.md"), as: UTF8.self)
        var allowed: [String: Set<String>] = [:]
        for line in page.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count == 5 else { continue }
            let names = { (cell: Substring) in cell.matches(of: #/`([^`]+)`/#).map { String($0.1) } }
            if let target = names(cells[1]).first { allowed[target] = Set(names(cells[3])) }
        }
        let free: Set = ["Glibc", "Synchronization", "Dispatch"]
        for (path, text) in Self.sources {
            let target = String(path.prefix { $0 != "/" })
            let own = try #require(allowed[target], "\(target) has no row in Sources/README.md")
            for match in text.matches(of: #/(?m)^(?:@\w+ )?import (?:struct |enum |class |func )?(\w+)/#) {
                let name = String(match.1)
                #expect(own.contains(name) || free.contains(name), "\(path) imports \(name)")
            }
        }
        let targets = Set(Self.sources.map { String($0.path.prefix { $0 != "/" }) })
        #expect(Set(allowed.keys) == targets, "rows of the page and targets differ")
    }

    /// Links between pages lead to files and headings that exist.
    @Test func linksOfPagesLeadSomewhere() throws {
        let pages = try Repository.pages()
        #expect(pages.count >= 10)
        var anchors: [String: Set<String>] = [:]
        for page in pages { anchors[page] = Self.anchors(String(decoding: try Repository.bytes(page), as: UTF8.self)) }
        for page in pages {
            let text = String(decoding: try Repository.bytes(page), as: UTF8.self)
            for match in text.matches(of: #/\]\(([^)\s]+)\)/#) {
                let link = String(match.1)
                if link.contains("://") || link.hasPrefix("mailto:") { continue }
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let folder = page.contains("/") ? String(page[..<page.lastIndex(of: "/")!]) + "/" : ""
                let target = parts[0].isEmpty ? page : Self.normal(folder + parts[0])
                #expect(FileManager.default.fileExists(atPath: Repository.root.appendingPathComponent(target).path), "\(page): \(link)")
                if parts.count == 2, let known = anchors[target] { #expect(known.contains(parts[1]), "\(page): \(link)") }
            }
        }
    }

    private static func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") {
            if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }

    /// The anchors that GitHub gives headings.
    private static func anchors(_ text: String) -> Set<String> {
        var found: Set<String> = []
        var isCode = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("```") { isCode.toggle() }
            guard !isCode, line.hasPrefix("#"), let space = line.firstIndex(of: " ") else { continue }
            let kept = line[space...].dropFirst().lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
            var anchor = kept.replacing(" ", with: "-")
            if found.contains(anchor) { anchor += "-1" }
            found.insert(anchor)
        }
        return found
    }
}
