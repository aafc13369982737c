import FunnelMatch
import FunnelProtocol
import FunnelStorage

/// Runs a scan; its errors become those of the protocol.
func matching<T>(_ body: () throws -> T) throws -> T {
    do {
        return try body()
    } catch MatchError.workBudget(let limit) {
        throw ProtocolError(.workBudget, "a user's history needs more than \(limit) steps of work under these rules: narrow the window, the limit or the repeated steps")
    } catch MatchError.notPlain {
        throw ProtocolError(.invalidQuery, "a rule of this funnel is not supported by this version of the shard")
    } catch MatchError.notUsers {
        throw ProtocolError(.invalidQuery, "count_by: must be users for this, and the funnel counts something else")
    } catch MatchError.optionalStep(let step) {
        throw ProtocolError(.invalidQuery, "step: nobody drops at step \(step), since it is optional")
    } catch MatchError.cancelled {
        throw ProtocolError(.cancelled, "the caller gave up")
    } catch let error as StoreError {
        throw GroupAppender.translate(error)
    }
}
