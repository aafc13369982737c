import ArgumentParser
import FunnelModel

/// Which attempts count, by the time of their step 1, and at which instant.
struct RangeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Earliest time of step 1: a day (2026-01-31) or an instant (2026-01-31T08:00:00Z). All times by default.", valueName: "time"))
    var start: String?
    @Option(help: ArgumentHelp("Latest time of step 1: a day, which is included, or an instant, which is not.", valueName: "time"))
    var end: String?
    @Option(help: ArgumentHelp("IANA time zone of the days, such as Europe/Berlin; UTC by default.", valueName: "zone"))
    var timeZone: String?
    @Option(
        help: ArgumentHelp(
            "Instant that decides which attempts are still open; now by default. It hides no event.", valueName: "instant"))
    var asOf: String?

    func write(to document: inout QueryDocument) {
        let given: [(ByteString, String?, String)] = [
            ("start", start, "--start"), ("end", end, "--end"), ("time_zone", timeZone, "--time-zone"), ("as_of", asOf, "--as-of"),
        ]
        for (key, value, option) in given {
            if let value { document.set(key, .text(value), by: option) }
        }
    }
}
