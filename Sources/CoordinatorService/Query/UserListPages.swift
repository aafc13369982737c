import FunnelModel
import FunnelProtocol

/// The pages of one list of users: of one instant and of one definition, also if the saved funnel changes meanwhile.
struct UserListPages: Sendable {
    let first: UsersPage
    private let engine: QueryEngine
    private let resolved: ResolvedQuery
    private let project: UInt32
    private var request: UsersRequest
    /// Users that may still come, those of the page before included.
    private var left: Int

    /// Asks for the first page.
    /// - Parameter limit: max users of all pages.
    init(_ engine: QueryEngine, _ request: UsersRequest, project: UInt32, limit: Int) async throws {
        self.engine = engine
        self.request = request
        self.project = project
        left = limit
        resolved = try await engine.resolve(request.query, project)
        first = try await engine.users(request, of: resolved, project: project)
    }

    /// A page that can be asked for.
    struct Next: Sendable {
        fileprivate let pages: UserListPages

        /// Throws if it lacks other shards than the first one: the list would be of neither.
        func page() async throws -> UsersPage {
            let page = try await pages.engine.users(pages.request, of: pages.resolved, project: pages.project)
            guard page.completeness.missing == pages.first.completeness.missing else {
                throw ProtocolError(.shardUnavailable, "other shards answer than at the start of the list")
            }
            return page
        }
    }

    /// The page after `page`; nil at the end of the list or of its limit.
    mutating func next(after page: UsersPage) -> Next? {
        left -= page.users.count
        guard let next = page.next, left > 0 else { return nil }
        request.after = next
        request.limit = min(left, Limits.userListPage)
        return Next(pages: self)
    }
}
