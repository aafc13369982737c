import CoordinatorService
import FunnelProtocol
import Testing

/// What the error of a shard means for a query (`PROTOCOL.md` section 12).
struct ShardErrorTests {
    @Test(arguments: ProtocolError.Code.allCases)
    func onlyFaultsOfTheQuestionReachTheCaller(code: ProtocolError.Code) {
        let asItIs: [ProtocolError.Code] = [.tooLarge, .invalidQuery, .workBudget, .cancelled]
        #expect(ProtocolError(code, "").meansMissingShard == !asItIs.contains(code))
    }
}
