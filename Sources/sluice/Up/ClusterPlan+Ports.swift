/// Whether the members can have their ports, which is checked before any starts.
extension ClusterPlan {
    /// A port of a member, and the option that gives it.
    private struct Claim {
        var port: Int
        var member: String
        var kind: String
        var option: String

        init(_ member: Member, _ port: Int, _ kind: String) {
            self.port = port
            self.member = member.name
            self.kind = kind
            option = "--\(member.shard == nil ? member.name : "shard")-\(kind.lowercased())"
        }

        /// "port 8090, the HTTP port of coordinator (--coordinator-http),"
        var text: String { "port \(port), the \(kind) port of \(member) (\(option))," }
    }

    /// One line that names a port that is in use, or that two members want, and the options that change it; nil if all are free.
    func portProblem() -> String? {
        let claims = members.flatMap { [Claim($0, $0.http, "HTTP"), Claim($0, $0.wire, "wire")] }
        if let beyond = claims.first(where: { $0.port > 65_535 }) {
            return "\(beyond.text) is over 65535: give \(beyond.option) a smaller one"
        }
        var owners: [Int: Claim] = [:]
        for claim in claims {
            if let other = owners.updateValue(claim, forKey: claim.port) {
                return "\(claim.text) is also the \(other.kind) port of \(other.member) (\(other.option)): give another one, or --any-port"
            }
        }
        let taken = claims.filter { !LocalPort.isFree($0.port) }
        guard let first = taken.first else { return nil }
        let more = taken.count == 1 ? "" : ", and so are \(taken.count - 1) more of this cluster"
        return "\(first.text) is in use\(more): stop the program that listens there, give another port, or give --any-port"
    }
}
