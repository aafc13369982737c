import FunnelModel
import Notifications
import ServiceRuntime
import Synchronization

/// How deliveries ended since the process started, for metrics and for who looks at a channel.
final class NoticeTally: Sendable {
    private struct Place: Hashable {
        var project: UInt32
        var channel: String
    }

    private struct Health {
        /// Microseconds since 1970.
        var delivered: Int64?
        var failed: Int64?
        var reason: String?
    }

    private struct State {
        var channels: [Place: Health] = [:]
        var waiting: [UInt32: (count: Int, oldest: Int64?)] = [:]
    }

    private let state = Mutex(State())
    private let delivered: Counter
    private let failed: Counter
    private let lost: Counter

    init(_ metrics: Metrics, clock: @escaping @Sendable () -> Int64) {
        let help = "attempts to deliver notices, by how they ended; lost: the notice is given up"
        delivered = metrics.counter("sluice_notices_total", help, labels: [("outcome", "delivered")])
        failed = metrics.counter("sluice_notices_total", help, labels: [("outcome", "failed")])
        lost = metrics.counter("sluice_notices_total", help, labels: [("outcome", "lost")])
        metrics.gauge("sluice_notices_waiting", "notices that wait for delivery") { [self] in
            Double(state.withLock { $0.waiting.values.reduce(0) { $0 + $1.count } })
        }
        metrics.gauge("sluice_notice_wait_seconds", "how long the oldest notice waits for delivery; 0: none waits") { [self] in
            let oldest = state.withLock { $0.waiting.values.compactMap(\.oldest).min() }
            return oldest.map { Double(max(0, clock() - $0)) / 1_000_000 } ?? 0
        }
    }

    func add(_ report: Deliveries.Report, _ project: UInt32, _ now: Int64) {
        let place = Place(project: project, channel: report.channel)
        switch report.fate {
        case .delivered:
            delivered.add()
            state.withLock { $0.channels[place, default: Health()].delivered = now }
            return
        case .retried: failed.add()
        case .lost: lost.add()
        case .gone: return
        }
        state.withLock { state in
            state.channels[place, default: Health()].failed = now
            state.channels[place]?.reason = report.reason
        }
    }

    func set(waiting: Int, oldest: Int64?, _ project: UInt32) {
        state.withLock { $0.waiting[project] = waiting == 0 ? nil : (waiting, oldest) }
    }

    func forget(_ channel: String, _ project: UInt32) { state.withLock { $0.channels[Place(project: project, channel: channel)] = nil } }

    func json(_ channel: String, _ project: UInt32, waiting: Int) -> JSONValue {
        let health = state.withLock { $0.channels[Place(project: project, channel: channel)] } ?? Health()
        func time(_ time: Int64?) -> JSONValue { time.map { .text(Timestamp.format($0)) } ?? .null }
        return [
            "waiting": .count(waiting), "delivered_at": time(health.delivered), "failed_at": time(health.failed),
            "reason": health.reason.map { .text($0) } ?? .null,
        ]
    }
}
