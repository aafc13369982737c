import FunnelModel
import IngestService
import TestSupport
import Testing

/// Token buckets and counts of a day, as values: the time is what the test says.
struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func aBurstIsTakenAtOnceAndRegained() {
        var buckets = TokenBuckets<String>(perSecond: 10, burst: 100, keysMax: 100)
        #expect(buckets.wait(for: 100, of: "a", now: 0) == 0)
        for _ in 0..<100 {
            #expect(buckets.wait(for: 1, of: "a", now: 0) == 0)
            buckets.take(1, of: "a", now: 0)
        }
        #expect(abs(buckets.wait(for: 1, of: "a", now: 0) - 0.1) < 1e-6)
        #expect(abs(buckets.wait(for: 50, of: "a", now: 0) - 5) < 1e-6)
        #expect(buckets.wait(for: 50, of: "a", now: 5 * Self.second) == 0)
        // Others are not touched, and nothing above the burst is saved.
        #expect(buckets.wait(for: 100, of: "b", now: 0) == 0)
        #expect(buckets.wait(for: 100, of: "a", now: 1_000 * Self.second) == 0)
        buckets.take(100, of: "a", now: 1_000 * Self.second)
        #expect(buckets.wait(for: 1, of: "a", now: 1_000 * Self.second) > 0)
        #expect(buckets.wait(for: 0, of: "a", now: 1_000 * Self.second) == 0)
    }

    @Test func moreThanABurstPassesAFullBucketAndIsOwed() {
        var buckets = TokenBuckets<String>(perSecond: 10, burst: 100, keysMax: 100)
        #expect(buckets.wait(for: 1_000, of: "a", now: 0) == 0)
        buckets.take(1_000, of: "a", now: 0)
        // 900 are owed, and the next needs one more.
        #expect(abs(buckets.wait(for: 1, of: "a", now: 0) - 90.1) < 1e-6)
        #expect(abs(buckets.wait(for: 0, of: "a", now: 0) - 90) < 1e-6)
        // The next one of this size waits until the bucket is full.
        #expect(abs(buckets.wait(for: 1_000, of: "a", now: 50 * Self.second) - 50) < 1e-6)
        #expect(buckets.wait(for: 1_000, of: "a", now: 100 * Self.second) == 0)
    }

    @Test func memoryIsBounded() {
        var buckets = TokenBuckets<Int>(perSecond: 10, burst: 10, keysMax: 100)
        buckets.take(10_000, of: -1, now: 0)
        for key in 0..<100_000 {
            buckets.take(Double(1 + key % 10), of: key, now: UInt64(key) * 1_000)
            #expect(buckets.count <= 100)
        }
        // The one that owes most is not forgotten before those that are nearly full.
        #expect(buckets.wait(for: 1, of: -1, now: Self.second) > 900)
        // Full ones are forgotten first.
        var calm = TokenBuckets<Int>(perSecond: 10, burst: 10, keysMax: 100)
        for key in 0..<1_000 { calm.take(1, of: key, now: UInt64(key) * Self.second) }
        #expect(calm.count <= 100)
        #expect(calm.wait(for: 10, of: 999, now: 999 * Self.second) > 0)
    }

    /// Against a bucket that counts its tokens step by step.
    @Test func randomTakesAgreeWithCountedTokens() {
        var random = SplitMix64(seed: 14)
        var buckets = TokenBuckets<Int>(perSecond: 7, burst: 30, keysMax: 1_000)
        var tokens = [Double](repeating: 30, count: 5)
        var last = [UInt64](repeating: 0, count: 5)
        var now: UInt64 = 0
        var refused = 0
        for _ in 0..<20_000 {
            now += random.next() % (Self.second / 4)
            let (key, amount) = (Int(random.next() % 5), Double(random.next() % 50))
            tokens[key] = min(30, tokens[key] + Double(now - last[key]) / 1e9 * 7)
            last[key] = now
            let lacking = min(amount, 30) - tokens[key]
            let wait = buckets.wait(for: amount, of: key, now: now)
            #expect(abs(wait - max(0, lacking / 7)) < 1e-5)
            guard wait == 0 else {
                refused += 1
                continue
            }
            buckets.take(amount, of: key, now: now)
            tokens[key] -= amount
        }
        #expect((1_000..<19_000).contains(refused))
    }

    // MARK: - Events of a day

    private static let noon: Int64 = 20_000 * 86_400 + 43_200

    @Test func aDayIsCountedByProjectAndEndsAtMidnight() {
        var days = DayCounts(most: 100)
        #expect(days.wait(of: 1, now: Self.noon) == nil)
        days.add(99, of: 1, now: Self.noon)
        #expect(days.wait(of: 1, now: Self.noon) == nil)
        // The request that reaches the limit is stored whole.
        days.add(50, of: 1, now: Self.noon)
        #expect(days.wait(of: 1, now: Self.noon + 1) == 43_199 && days.wait(of: 2, now: Self.noon) == nil)
        #expect(days.wait(of: 1, now: Self.noon + 43_199) == 1 && days.wait(of: 1, now: Self.noon + 43_200) == nil)
        // A clock that is set back a little does not begin the day before again; one that was years ahead is forgotten.
        days.add(100, of: 1, now: Self.noon + 43_200)
        #expect(days.wait(of: 1, now: Self.noon + 43_190) == 86_410)
        #expect(days.wait(of: 1, now: Self.noon - 5 * 86_400) == nil)
        days.add(1, of: 1, now: Self.noon - 5 * 86_400)
        #expect(days.count(of: 1) == 1)
    }

    @Test func countsOutliveARestartOfTheSameDay() {
        var days = DayCounts(most: 100)
        days.add(7, of: 1, now: Self.noon)
        days.add(100, of: .max, now: Self.noon)
        #expect(DayCounts(most: 100, document: days.document, now: Self.noon + 60) == days)
        #expect(DayCounts(most: 100, document: days.document, now: Self.noon + 86_400) == DayCounts(most: 100))
        for text in [
            "null", "[]", "{}", #"{"day":20000}"#, #"{"day":20000,"events":[]}"#,
            #"{"day":20000,"events":{"1":-5,"x":3,"2":1.5,"99999999999":1,"3":9223372036854775807}}"#,
        ] {
            let document = (try? JSONParser.parse(Array(text.utf8))) ?? .null
            var read = DayCounts(most: 100, document: document, now: Self.noon)
            #expect(read.wait(of: 1, now: Self.noon) == nil && read.wait(of: 3, now: Self.noon) == nil, "\(text)")
            read.add(1, of: 3, now: Self.noon)
        }
    }
}
