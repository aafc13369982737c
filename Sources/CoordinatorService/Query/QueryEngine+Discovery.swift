import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

extension QueryEngine {
    /// The event names, property keys, or values of a property of the project.
    func discover(_ request: DiscoveryRequest, project: UInt32) async throws -> DiscoveryReport {
        let start = ContinuousClock.now
        let deadline = QueryRequest.defaultDeadline
        let query = request.query
        let gathered = try await gate.run(project, isHeavy: false, until: start + deadline) {
            try await fanOut(deadline, start) { link, left, number in
                let body = try await link.call(.partialDiscovery, query.body, project: project, request: number, timeout: left)
                return try await self.aside.run(project, isLong: body.count > Self.shortBytes) {
                    try decodingAnswer("discovery result", of: link.name) { () throws(ByteError) in try Discovery(body: body) }
                }
            }
        }
        var whole = request.nothing
        for found in gathered.answers { whole.merge(found) }
        return DiscoveryReport(request, whole, try judge(gathered.missing, newest: nil, request.allowPartial))
    }
}
