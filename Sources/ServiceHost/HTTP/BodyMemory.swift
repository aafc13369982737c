import Codec
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import Synchronization

/// The memory budget for HTTP request bodies of a process. A project has at most half of it. Where memory is short, the slowest
/// body is evicted.
package final class BodyMemory: Sendable {
    private let budget: BodyBudget
    private let projectMost: Int
    /// By project. Not more than projects with keys.
    private let projects = Mutex<[UInt32: BodyBudget.Account]>([:])

    package init(bytes: Int) {
        budget = BodyBudget(bytes: bytes)
        projectMost = bytes / 2
    }

    /// Bytes held now.
    package var bytes: Int { budget.bytes }

    /// Runs `body` with a lease, which takes memory as it arrives and returns all of it at the end.
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
