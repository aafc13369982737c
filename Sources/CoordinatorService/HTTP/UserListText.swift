import FunnelModel
import ReportTables

/// A whole list of users as text, a part at a time. JSON has the shape of a page.
struct UserListText {
    /// Users of a part, so that the text of a page is not in memory at once.
    static let usersPerPart = 1_000

    private let form: ReportForm
    private var hasUsers = false

    init(_ form: ReportForm) { self.form = form }

    var head: [UInt8] {
        switch form.format {
        case .json: Array("{\"users\":[".utf8)
        case .csv: form.bytes(of: ReportTable.users([]))
        case .ndjson: []
        }
    }

    mutating func part(_ users: ArraySlice<ByteString>) -> [UInt8] {
        guard form.format == .json else { return form.rows(of: ReportTable.users(users)) }
        var out: [UInt8] = []
        for user in users {
            if hasUsers { out.append(UInt8(ascii: ",")) }
            hasUsers = true
            JSONValue.string(user).write(to: &out)
        }
        return out
    }

    /// - Parameters:
    ///   - next: the id that the rest of the list follows; nil if this was all.
    ///   - asOf: of all pages, and so is `completeness`.
    func end(next: ByteString?, asOf: Int64, _ completeness: Completeness) -> [UInt8] {
        guard form.format == .json else { return [] }
        let facts = UsersPage(users: [], next: next, asOf: asOf, completeness: completeness).json(withUsers: false)
        // Its members come behind the list.
        return Array("],".utf8) + facts.encode().dropFirst() + [10]
    }
}
