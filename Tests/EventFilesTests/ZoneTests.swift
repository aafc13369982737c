import FunnelModel
import TestSupport
import Testing
import TimeZones

struct ZoneTests {
    /// `Tests/Files/zones.txt`: every name of tzdata with its offset at some instants, from Python's zoneinfo.
    @Test func everyNameOfTzdataHasItsOffsets() throws {
        let lines = String(decoding: try Repository.bytes("Tests/Files/zones.txt"), as: UTF8.self).split(separator: "\n")
        let instants = try lines[0].split(separator: " ").suffix(5).map { try Timestamp.parse(ByteString($0)) / 1_000_000 }
        #expect(lines.count > 550)
        for line in lines.dropFirst() {
            let words = line.split(separator: " ").map(String.init)
            let zone = try #require(NamedZone(words[0]), "\(words[0])")
            #expect(instants.map { String(zone.offset(at: $0)) } == Array(words.dropFirst()), "\(words[0])")
        }
    }

    @Test(arguments: ["PDT", "CEST", "Nowhere/City", "", "utc+1", "posixrules"]) func otherNamesAreNone(name: String) {
        #expect(NamedZone(name) == nil)
    }

    @Test func daysWhoseMidnightIsSkippedBeginLater() throws {
        var clock = LocalClock(try #require(NamedZone("America/Sao_Paulo")))
        #expect(try clock.firstInstant(ofDay: Timestamp.parse("2018-11-04")) == Timestamp.parse("2018-11-04T03:00:00Z"))
        #expect(clock.instant(showing: try Timestamp.parse("2018-11-04T00:30:00")) == nil)
        // Samoa crossed the date line.
        var samoa = LocalClock(try #require(NamedZone("Pacific/Apia")))
        #expect(samoa.firstInstant(ofDay: try Timestamp.parse("2011-12-30")) == nil)
    }
}
