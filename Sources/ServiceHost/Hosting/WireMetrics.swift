import FunnelProtocol
import RPC
import ServiceRuntime

/// Metrics of the wire calls of one port, by call: requests, failures by code, and times.
final class WireMetrics: CallObserver {
    private struct Figures {
        let requests = Counter()
        /// In the order of `codes`.
        let failures = WireMetrics.codes.map { _ in Counter() }
        let latency: LatencyHistogram
    }

    private static let codes = ProtocolError.Code.allCases
    private static let places = Dictionary(uniqueKeysWithValues: codes.enumerated().map { ($1, $0) })

    private let calls: [CallPath: Figures]

    init(_ paths: [CallPath], _ metrics: Metrics) {
        let calls = Dictionary(
            uniqueKeysWithValues: Set(paths + [.hello]).map { path in
                let help =
                    "time of a wire call, in seconds, from the complete request to the end of the answer; snapshot and keys are long polls"
                return (path, Figures(latency: metrics.latency("sluice_wire_request_seconds", help, labels: [("call", path.name)])))
            })
        self.calls = calls
        let sorted = calls.sorted { $0.key.name < $1.key.name }
        metrics.counters("sluice_wire_requests_total", "wire calls that ended, without those refused by their head") {
            sorted.map { ([("call", $0.key.name)], Double($0.value.requests.value)) }
        }
        metrics.counters("sluice_wire_failures_total", "wire calls that failed, by code; cancelled means that the caller left") {
            sorted.flatMap { path, figures in
                zip(Self.codes, figures.failures).filter { $0.1.value > 0 }.map { code, count in
                    ([("call", path.name), ("code", code.traits.name)], Double(count.value))
                }
            }
        }
    }

    func ended(_ path: CallPath, code: ProtocolError.Code?, took: Duration) {
        guard let figures = calls[path] else { return }
        figures.requests.add()
        figures.latency.record(took)
        if let code, let place = Self.places[code] { figures.failures[place].add() }
    }
}

extension CallPath {
    /// The last part of the path, such as `partial-query`.
    fileprivate var name: String { rawValue.split(separator: "/").last.map(String.init) ?? rawValue }
}
