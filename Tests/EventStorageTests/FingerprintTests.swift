import EventStorage
import FunnelModel
import Testing

/// A repeat has the content of the first time; anything else under its number is a fault of the producer.
struct FingerprintTests {
    private func one(_ fingerprint: UInt32, part: UInt32 = 0, sequence: UInt64 = 5) -> AppendRequest {
        request([event("u", "a", Int64(fingerprint))], sequence: sequence, part: part, fingerprint: fingerprint)
    }

    private func outcome(_ results: [Result<AppendResult, StoreError>]) -> [String] {
        results.map {
            switch $0 {
            case .success(let result): result.repeated ? "repeated" : "stored"
            case .failure(let error): error.code.rawValue
            }
        }
    }

    @Test(arguments: [false, true], [false, true])
    func otherContentUnderAKnownNumberIsRefused(sealed: Bool, reopened: Bool) throws {
        let files = SimulatedFileSystem()
        var store = try openStore(files)
        #expect(outcome(try store.put([one(1), one(2, part: 1)])) == ["stored", "stored"])
        if sealed { try store.seal() }
        if reopened {
            store.close()
            store = try openStore(files)
        }
        let again = [one(1), one(2), one(2, part: 1), one(1, part: 1), one(.max), one(0)]
        let wanted = ["repeated", "sequenceReused", "repeated", "sequenceReused", "sequenceReused", "sequenceReused"]
        #expect(outcome(try store.put(again)) == wanted)
        for (request, wanted) in zip(again, wanted) { #expect(outcome(try store.put([request])) == [wanted]) }
        #expect(try store.view(project: 1).allEvents().map(\.time) == [1, 2])
        #expect(store.stats.repeats == 4)
        let error = #expect(throws: StoreError.self) { try store.put([one(2)])[0].get() }
        #expect(error?.retryable == false)
        // Another number may carry it.
        #expect(outcome(try store.put([one(3, sequence: 6)])) == ["stored"])
    }

    @Test func otherContentUnderANumberOfTheSameGroupIsRefused() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        #expect(outcome(try store.put([one(1), one(2), one(1), one(2, part: 1)])) == ["stored", "sequenceReused", "repeated", "stored"])
        #expect(try store.view(project: 1).allEvents().count == 2)
        store.close()
        #expect(outcome(try openStore(files).append([one(2), one(1)])) == ["sequenceReused", "repeated"])
    }

    @Test func aNumberWhoseAppendFailedIsFree() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        files.inject(.fullFromWrite(0, partial: 5))
        #expect(throws: StoreError.self) { try store.put([one(1)]) }
        files.heal()
        #expect(outcome(try store.put([one(2), one(1)])) == ["stored", "sequenceReused"])
        #expect(try store.view(project: 1).allEvents().map(\.time) == [2])
    }
}
