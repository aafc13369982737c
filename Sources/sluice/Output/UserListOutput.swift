import EventFiles
import FunnelModel
import FunnelProtocol
import ReportTables

/// A page of a user list as it came over the wire.
struct UserListPage {
    /// `next`, `as_of` and `completeness`.
    let facts: JSONValue
    private(set) var users: [ByteString] = []

    /// - Parameter frames: the bodies of the answer's frames.
    init(frames: [[UInt8]]) throws {
        guard let first = frames.first else { throw Failure("an answer without a result") }
        facts = try JSONParser.parse(first)
        do throws(ProtocolError) {
            for frame in frames.dropFirst() {
                users += try decoding("user list") { () throws(ByteError) in try UserList(body: frame) }.users
            }
        } catch {
            throw Failure(error)
        }
    }

    /// The id that the next page follows; nil at the end of the list.
    var next: ByteString? { facts["next"]?.asString }

    var asOf: String { facts["as_of"]?.asString?.string ?? "" }
}

/// Prints a user list page by page: ids on standard output; on standard error the number of users and what is missing. JSON is one
/// document, as over HTTP, and printed at the end.
struct UserListOutput {
    private let format: AnswerOptions.Format
    private(set) var count = 0
    private var last: UserListPage?
    /// The line of a page that was not a whole answer.
    private var missing: (line: String, completeness: JSONValue)?
    /// Only of JSON.
    private var users: [JSONValue] = []

    init(_ format: AnswerOptions.Format) { self.format = format }

    /// Whether there are no users, and no shard or user is missing.
    var isEmpty: Bool { count == 0 && missing == nil }

    mutating func write(_ page: UserListPage) {
        switch format {
        case .json: users += page.users.map { .string($0) }
        case .csv:
            if last == nil { Terminal.out("user_id") }
            print(page.users.map { ReportTable.cell(.string($0), for: .terminal) })
        case .table: print(page.users.map(\.string.printable))
        }
        count += page.users.count
        if let line = PartialAnswer.line(page.facts) { missing = (line, page.facts["completeness"] ?? .null) }
        last = page
    }

    private func print(_ lines: [String]) {
        if !lines.isEmpty { Terminal.out(lines.joined(separator: "\n")) }
    }

    func end() {
        guard let last else { return }
        if format == .json {
            let document: JSONValue = [
                "users": .array(users), "next": last.facts["next"] ?? .null, "as_of": .text(last.asOf),
                "completeness": missing?.completeness ?? last.facts["completeness"] ?? .null,
            ]
            return Terminal.out(json: document.encode())
        }
        Terminal.note("\(Terminal.count(count, "user")), as of \(last.asOf)")
        if let next = last.next {
            Terminal.note("there are more; continue with: --after \(shellWord(next.string).printable) --as-of \(last.asOf)")
        }
        if let missing { Terminal.note(missing.line) }
    }
}
