import FunnelProtocol
import RPC
import Testing

/// Keys that fail are slowed by address; keys that are right go on working.
struct GuessTests {
    private let long = "a key of more than sixteen bytes"
    private let short = "shortkey"
    private var keys: KeyRing {
        KeyRing([
            .init(role: .write, project: 1, hash: KeyRing.hash(long)), .init(role: .read, project: 1, hash: KeyRing.hash(short)),
        ])
    }

    private func attempt(
        _ guesses: KeyGuesses, _ key: String, _ role: KeyRole = .write, from address: String = "10.0.0.1", at seconds: UInt64 = 0
    ) -> Int {
        do {
            _ = try guesses.admit(keys, key: key, for: role, from: address, now: seconds * 1_000_000_000)
            return 200
        } catch {
            return error.httpStatus
        }
    }

    @Test func failuresOfAnAddressAreSlowed() {
        let guesses = KeyGuesses()
        let first = (0..<12).map { attempt(guesses, "wrong \($0)") }
        #expect(first == Array(repeating: 401, count: 10) + [429, 429])
        // Another address is another matter.
        #expect(attempt(guesses, "wrong", from: "10.0.0.2") == 401)
        // One more each second.
        #expect((0..<3).map { _ in attempt(guesses, "wrong", at: 2) } == [401, 401, 429])
        #expect(attempt(guesses, "wrong", at: 3) == 401)
        #expect((0..<11).map { _ in attempt(guesses, "wrong", at: 1_000) }.last == 429)
    }

    @Test func aLongKeyIsNeverDelayed() {
        let guesses = KeyGuesses()
        for number in 0..<100 { _ = attempt(guesses, "wrong \(number)") }
        #expect(attempt(guesses, long) == 200)
        // Of another role: an error, but no guess.
        #expect(attempt(guesses, long, .read) == 403)
    }

    @Test func aShortKeyThatIsNewToTheAddressWaits() {
        let guesses = KeyGuesses()
        #expect(attempt(guesses, short, .read, from: "10.0.0.9") == 200)
        for address in ["10.0.0.1", "10.0.0.9"] {
            for number in 0..<20 { _ = attempt(guesses, "wrong \(number)", from: address) }
        }
        #expect(attempt(guesses, short, .read, from: "10.0.0.9") == 200)
        #expect(attempt(guesses, short, .read, from: "10.0.0.1") == 429)
        #expect(attempt(guesses, short, .read, from: "10.0.0.1", at: 2) == 200)
    }

    @Test func addressesAreForgottenOldestFirst() {
        let guesses = KeyGuesses()
        for number in 0..<20_000 {
            #expect(attempt(guesses, "wrong", from: "address \(number)", at: UInt64(number)) == 401)
        }
        #expect(guesses.addressCount <= 10_000)
    }

    @Test func noKeyIsNoGuess() {
        let guesses = KeyGuesses()
        for _ in 0..<50 {
            #expect(throws: ProtocolError.self) { try guesses.admit(keys, nil, for: .write, from: "10.0.0.1") }
        }
        #expect(guesses.addressCount == 0)
    }

    @Test func placesOfShortKeysInAList() {
        #expect(KeyRing.shortEntries(["0123456789abcdef", "2:0123456789abcdef", "short678", "3:short678"]) == [3, 4])
    }
}
