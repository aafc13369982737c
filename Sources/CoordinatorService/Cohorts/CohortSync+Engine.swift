import FunnelModel
import FunnelProtocol
import Notifications
import ServiceRuntime

extension CohortSync.Source {
    /// Asks the shards as queries do, and sends as notices are sent.
    init(_ engine: QueryEngine, _ savedFunnels: SavedFunnels, _ channels: SavedChannels, _ sender: NoticeSender) {
        self.init(
            check: { body, project in
                let request = try UsersRequest.parse(body, now: WallClock.now())
                if let id = body["funnel_id"]?.asString, try await savedFunnels.get(id, project: project) == nil {
                    throw InvalidDocument([FieldFault("funnel_id", "names the funnel \(id.string), which does not exist")])
                }
                _ = try request.position(in: try await engine.resolve(request.query, project).definition)
            },
            users: { body, project in
                var request = try UsersRequest.parse(body, now: WallClock.now())
                request.limit = Limits.userListPage
                let pages = try await UserListPages(engine, request, project: project, limit: SyncedCohort.membersMax + 1)
                return Self.part(pages.first, of: pages)
            },
            channel: { try await channels.get($0, project: $1)?.channel },
            post: { body, key, channel, attempt in
                await sender.post(body, key: key, to: channel, attempt: attempt, now: WallClock.now())
            })
    }

    private static func part(_ page: UsersPage, of pages: UserListPages) -> CohortSync.Users {
        var pages = pages
        guard let next = pages.next(after: page) else { return .init(users: page.users) }
        let later = pages
        return .init(users: page.users) { part(try await next.page(), of: later) }
    }
}
