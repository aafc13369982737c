import Foundation
import FunnelModel

/// Two API keys of a project that were valid on every service, and no longer are: one has expired, one was revoked.
struct EndedKeys {
    let expired: String
    let revoked: String

    /// - Parameter admin: an API key of the role admin. The keys get its project, and its role, which opens everything.
    init(_ cluster: Cluster, admin: String) async throws {
        let soon = Timestamp.format((Int64(Date().timeIntervalSince1970) + 6) * 1_000_000)
        let first = try await Self.create(cluster, ["role": "admin", "expires_at": .text(soon)], admin)
        let second = try await Self.create(cluster, ["role": "admin"], admin)
        (expired, revoked) = (first.text, second.text)
        for key in [first, second] { try await Self.until(cluster, key.text, answers: 200) }
        let gone = try await HTTP.call("DELETE", cluster.coordinatorHTTP, "/v1/keys/\(second.id)", key: admin)
        guard gone.status == 204 else { throw Trouble("not revoked: \(gone.status) \(gone.text)") }
        for key in [first, second] { try await Self.until(cluster, key.text, answers: 401) }
    }

    static func create(_ cluster: Cluster, _ body: JSONValue, _ admin: String) async throws -> (id: String, text: String) {
        let answer = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/keys", body: body.encode(), key: admin)
        guard answer.status == 201, let id = answer.json["id"]?.asString?.string, let text = answer.json["key"]?.asString?.string else {
            throw Trouble("no key: \(answer.status) \(answer.text)")
        }
        return (id, text)
    }

    /// Waits until ingest and the coordinator answer a request with the key so. Each attempt comes from an address of its own, since
    /// an address that has sent several wrong keys must wait.
    static func until(_ cluster: Cluster, _ key: String, answers status: Int) async throws {
        var (attempt, last) = (0, 0)
        while attempt < 250 {
            attempt += 1
            let (headers, source) = (["Authorization": "Bearer \(key)"], "127.9.\(status % 250).\(attempt)")
            let stored = try await PlainHTTP.call(
                "POST", cluster.ingestHTTP, "/v1/events", body: Array("[]".utf8), headers: headers, from: source)
            let asked = try await PlainHTTP.call("GET", cluster.coordinatorHTTP, "/v1/status", headers: headers, from: source)
            if stored.status == status, asked.status == status { return }
            last = stored.status == status ? asked.status : stored.status
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Trouble("a key is answered with \(last), not \(status)")
    }
}
