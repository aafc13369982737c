import EventShapes
import FunnelModel

/// A line of an export that is a claim: `{"user_id", "timestamp", "claim", "parent"}` (`FILES.md` section 10).
enum ClaimLine {
    /// - Parameters:
    ///   - kind: the member `claim`.
    ///   - now: the server's time in microseconds.
    static func claim(_ kind: JSONValue, _ line: JSONValue, now: Int64) throws(EventFault) -> Claim {
        let kinds: [ByteString: Claim.Kind] = ["identify": .identify, "alias": .alias]
        guard let kind = kind.asString.flatMap({ kinds[$0] }) else { throw EventFault("claim", "must be identify or alias") }
        let child = try id(line, "user_id")
        let parent = try id(line, "parent")
        guard child != parent else { throw EventFault("parent", "is the user_id itself") }
        guard let text = line["timestamp"]?.asString else { throw EventFault("timestamp", "must be text") }
        do throws(Timestamp.Fault) {
            let time = try Timestamp.parse(text)
            try Timestamp.checkRange(time, now: now)
            return Claim(kind: kind, child: child, parent: parent, time: time)
        } catch {
            throw EventFault("timestamp", error.reason)
        }
    }

    private static func id(_ line: JSONValue, _ name: ByteString) throws(EventFault) -> ByteString {
        guard let id = line[name]?.asString, !id.isEmpty, id.count <= Limits.userIDBytes else {
            throw EventFault(name.string, "must be text of 1 to \(Limits.userIDBytes) bytes")
        }
        return id
    }
}
