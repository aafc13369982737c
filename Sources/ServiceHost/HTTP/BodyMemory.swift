import Codec
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import Synchronization

/// Memory for the request bodies of one process. A project has at most half of it; beyond that its slowest body goes.
package final class BodyMemory: Sendable {
    private let budget: BodyBudget
    private let projectMost: Int
    /// As many as there are projects with keys.
    private let projects = Mutex<[UInt32: BodyBudget.Account]>([:])

    package init(bytes: Int) {
        budget = BodyBudget(bytes: bytes)
        projectMost = bytes / 2
    }

    package var bytes: Int { budget.bytes }

    /// Runs `body` with a lease, through which it takes memory as it needs it; all of it is given back at the end.
    package func with<T>(_ project: UInt32, _ context: ServiceContext, _ body: (BodyLease) async throws -> T) async throws -> T {
        let account = projects.withLock { projects in
            let account = projects[project] ?? BodyBudget.Account(most: projectMost)
            projects[project] = account
            return account
        }
        let channel = context.channel
        let lease = budget.lease(in: [account], now: NIODeadline.now().uptimeNanoseconds) {
            channel.pipeline.fireUserInboundEventTriggered(BodyCut.evicted)
        }
        defer { lease.end() }
        return try await body(lease)
    }
}
