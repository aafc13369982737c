import FunnelModel
import Testing

struct TimestampTests {
    @Test(arguments: [
        ("2024-03-20T00:00:00.990Z", 1_710_892_800_990_000 as Int64), ("2024-03-20 00:00:00", 1_710_892_800_000_000),
        ("2024-03-20", 1_710_892_800_000_000), ("2024-03-20T02:00:00+02:00", 1_710_892_800_000_000),
        ("2024-03-20T00:00:00.123456789Z", 1_710_892_800_123_456), ("1710892800", 1_710_892_800_000_000),
        ("1710892800123", 1_710_892_800_123_000), ("1710892800.5", 1_710_892_800_500_000),
        ("2000-02-29T23:59:59Z", 951_868_799_000_000),
    ])
    func parses(text: String, microseconds: Int64) throws {
        #expect(try Timestamp.parse(ByteString(text)) == microseconds)
    }

    @Test(arguments: [
        "", "yesterday", "2024-02-30", "2024-13-01", "2024-03-20T24:00:00Z", "2024-03-20T00:00:60Z", "2024-03-20T00:00:00X",
        "2024-03-20T00:00:00.1234567890Z", "2024-3-20", "-5", "1e9", "2024-03-20T00:00:00+25:00", "99999999999999999999999",
    ])
    func refuses(text: String) {
        #expect(throws: Timestamp.Fault.self) { try Timestamp.parse(ByteString(text)) }
    }

    @Test func formatsWhatItParses() throws {
        for text in ["2024-03-20T00:00:00Z", "1999-12-31T23:59:59.001Z", "2024-02-29T12:34:56.000007Z"] {
            #expect(Timestamp.format(try Timestamp.parse(ByteString(text))) == text)
        }
    }
}
