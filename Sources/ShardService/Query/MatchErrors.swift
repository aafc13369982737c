import EventStorage
import FunnelMatch
import FunnelModel
import FunnelProtocol
import FunnelQuery

/// Runs a scan and turns its errors into `ProtocolError`, except `HeavyUser`, which is thrown as it is.
func matching<T>(_ body: () throws -> T) throws -> T {
    do {
        return try body()
    } catch MatchError.notUsers {
        throw ProtocolError(.invalidQuery, "count_by: must be users for this report; the funnel counts something else")
    } catch MatchError.optionalStep(let step) {
        throw ProtocolError(.invalidQuery, "step: step \(step) is optional, so nobody drops at it")
    } catch MatchError.cancelled {
        throw ProtocolError(.cancelled, "the caller gave up")
    } catch let error as StoreError {
        throw GroupAppender.translate(error)
    }
}

extension HeavyUser {
    /// The error for a heavy user, with the user's id; `shard` is the shard's name.
    func refusal(_ user: ByteString, shard: String) -> ProtocolError {
        let name = "user \"\(user.string.prefix(200))\" on \(shard)"
        let advice = "or ask with \"heavy_users\": \"leave_out\""
        let text: String
        switch reason {
        case .tooManyEvents:
            text = """
                \(name) has more than \(Limits.userRows) events that this query reads, or they fill its steps in more than \
                \(Limits.userFills) ways: ask for fewer events, \(advice)
                """
        default:
            text = """
                \(name) needs more than \(Limits.userWork) steps of work under these rules: narrow the window, the limit or the \
                repeated steps, \(advice)
                """
        }
        return ProtocolError(.workBudget, text, shards: [shard])
    }
}
