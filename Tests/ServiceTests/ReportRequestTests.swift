import CoordinatorService
import FunnelModel
import Testing

struct ReportRequestTests {
    private func parse(_ more: String) throws -> QueryRequest {
        let text = #"{"funnel": {"steps": ["a", "b"]}"# + (more.isEmpty ? "" : ", " + more) + "}"
        return try QueryRequest.parse(JSONParser.parse(Array(text.utf8)), now: 1_700_000_000_000_000)
    }

    private func faults(_ more: String) -> [String] {
        do {
            _ = try parse(more)
            return []
        } catch let document as InvalidDocument {
            return document.faults.map(\.field)
        } catch {
            return ["\(error)"]
        }
    }

    @Test func readsABreakdown() throws {
        #expect(try parse("").breakdown == nil)
        #expect(try parse(#""breakdown": null"#).breakdown == nil)
        let plain = try parse(#""breakdown": {"property": "plan"}"#)
        #expect(plain.breakdown == BreakdownRequest(Breakdown(property: "plan", touch: .first), rows: 10))
        let full = try parse(#""breakdown": {"property": "utm.source", "touch": "step:2", "k": 1000}"#)
        #expect(full.breakdown == BreakdownRequest(Breakdown(property: "utm.source", touch: .step(2)), rows: 1_000))
        #expect(try parse(#""breakdown": {"property": "p", "touch": "last", "k": 1}"#).breakdown?.breakdown.touch == .last)
    }

    @Test(arguments: [
        (#""breakdown": "plan""#, "breakdown"), (#""breakdown": []"#, "breakdown"), (#""breakdown": {}"#, "breakdown.property"),
        (#""breakdown": {"property": ""}"#, "breakdown.property"), (#""breakdown": {"property": 3}"#, "breakdown.property"),
        (#""breakdown": {"property": "p", "touch": "middle"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "touch": "step:0"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "touch": "step:"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "touch": "step:02"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "touch": "step:65"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "touch": "step:+1"}"#, "breakdown.touch"),
        (#""breakdown": {"property": "p", "k": 0}"#, "breakdown.k"), (#""breakdown": {"property": "p", "k": 1001}"#, "breakdown.k"),
        (#""breakdown": {"property": "p", "k": 2.5}"#, "breakdown.k"), (#""breakdown": {"property": "p", "limit": 5}"#, "breakdown.limit"),
        (#""trend": "day""#, "trend"), (#""trend": {}"#, "trend.by"), (#""trend": {"by": "year"}"#, "trend.by"),
        (#""trend": {"by": 1}"#, "trend.by"), (#""trend": {"by": "day", "zone": "UTC"}"#, "trend.zone"),
        (#""trend": {"by": "day"}, "time_zone": "Mars/Olympus""#, "time_zone"),
        (#""trend": {"by": "day"}, "breakdown": {"property": "p"}"#, "trend"),
    ])
    func namesTheFieldAtFault(text: String, field: String) {
        #expect(faults(text) == [field])
    }

    @Test func theStepMustBeOneOfTheFunnel() throws {
        let funnel = FunnelDefinition(steps: [.init("a"), .init("b")])
        let asked = BreakdownRequest(Breakdown(property: "p", touch: .step(3)), rows: 10)
        #expect(throws: InvalidDocument.self) { try asked.check(against: funnel) }
        try BreakdownRequest(Breakdown(property: "p", touch: .step(2)), rows: 10).check(against: funnel)
    }

    @Test func readsATrend() throws {
        #expect(try parse("").trend == nil)
        let plain = try #require(try parse(#""trend": {"by": "week"}"#).trend)
        #expect(plain.unit == .week && plain.zone == "UTC")
        let zoned = try #require(try parse(#""trend": {"by": "hour"}, "time_zone": "Asia/Kolkata""#).trend)
        #expect(zoned.unit == .hour && zoned.zone == "Asia/Kolkata")
    }

    // MARK: - Buckets

    private func bounds(_ more: String, span: ClosedRange<Int64>? = nil) throws -> [String] {
        let request = try parse(more)
        let trend = try #require(request.trend)
        return try trend.bounds(request.entryRange, span: span).map(Timestamp.format)
    }

    private func time(_ text: ByteString) throws -> Int64 { try Timestamp.parse(text) }

    @Test func bucketsAreClippedToTheRange() throws {
        #expect(
            try bounds(#""trend": {"by": "day"}, "start": "2024-03-01T10:00:00Z", "end": "2024-03-03T00:00:00Z""#)
                == ["2024-03-01T10:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "day"}, "start": "2024-03-01T10:00:00Z", "end": "2024-03-01T10:00:00.000001Z""#)
                == ["2024-03-01T10:00:00Z", "2024-03-01T10:00:00.000001Z"])
        #expect(try bounds(#""trend": {"by": "day"}, "start": "2024-03-01T10:00:00Z", "end": "2024-03-01T10:00:00Z""#) == [])
        #expect(
            try bounds(#""trend": {"by": "month"}, "start": "2024-01-15", "end": "2024-03-02""#)
                == ["2024-01-15T00:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z"])
    }

    @Test func openEndsGoByTheEvents() throws {
        let span = try time("2024-02-29T23:30:00Z")...time("2024-03-02T00:00:00Z")
        #expect(
            try bounds(#""trend": {"by": "day"}"#, span: span)
                == ["2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"])
        // A Monday, and the Monday after.
        #expect(try bounds(#""trend": {"by": "week"}"#, span: span) == ["2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "day"}, "start": "2024-03-01", "time_zone": "UTC""#, span: span)
                == ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "day"}, "end": "2024-02-29""#, span: span) == ["2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"])
        #expect(try bounds(#""trend": {"by": "day"}"#) == [])
        #expect(try bounds(#""trend": {"by": "day"}, "start": "2024-03-01""#) == [])
        #expect(TrendRequest.needsSpan(nil) && TrendRequest.needsSpan(0..<Int64.max) && TrendRequest.needsSpan(Int64.min..<0))
        #expect(!TrendRequest.needsSpan(0..<1))
    }

    @Test func atMostAThousandBuckets() throws {
        #expect(try bounds(#""trend": {"by": "hour"}, "start": "2024-01-01T00:00:00Z", "end": "2024-02-11T16:00:00Z""#).count == 1_001)
        for start in ["2024-01-01T00:00:00Z", "0001-01-01"] {
            do {
                _ = try bounds(#""trend": {"by": "hour"}, "start": "\#(start)", "end": "2024-02-11T16:00:00.000001Z""#)
                Issue.record("accepted")
            } catch let document as InvalidDocument {
                #expect(document.faults.map(\.field) == ["trend.by"])
            }
        }
    }

    @Test func daysOfBerlinHave23And25Hours() throws {
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "Europe/Berlin", "start": "2024-03-30", "end": "2024-04-01""#)
                == ["2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-01T22:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "Europe/Berlin", "start": "2024-10-27", "end": "2024-10-28""#)
                == ["2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z", "2024-10-28T23:00:00Z"])
        // Both hours between 2 and 3 have a bucket; between 1 and 3 in March there is one hour.
        #expect(
            try bounds(
                #""trend": {"by": "hour"}, "time_zone": "Europe/Berlin", "start": "2024-10-27T00:10:00Z", "end": "2024-10-27T02:00:00Z""#)
                == ["2024-10-27T00:10:00Z", "2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z"])
        #expect(
            try bounds(
                #""trend": {"by": "hour"}, "time_zone": "Europe/Berlin", "start": "2024-03-31T00:00:00Z", "end": "2024-03-31T02:00:00Z""#)
                == ["2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "week"}, "time_zone": "Europe/Berlin", "start": "2024-03-25", "end": "2024-04-07""#)
                == ["2024-03-24T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-07T22:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "month"}, "time_zone": "Europe/Berlin", "start": "2024-03-01", "end": "2024-10-31""#)
                == [
                    "2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-30T22:00:00Z", "2024-05-31T22:00:00Z", "2024-06-30T22:00:00Z",
                    "2024-07-31T22:00:00Z", "2024-08-31T22:00:00Z", "2024-09-30T22:00:00Z", "2024-10-31T23:00:00Z",
                ])
    }

    /// Clocks went forward at midnight, so that the day began at 1; and back at midnight, to 23 o'clock of the day before.
    @Test func daysOfSaoPauloBeganAtOne() throws {
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "America/Sao_Paulo", "start": "2018-11-03", "end": "2018-11-04""#)
                == ["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"])
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "America/Sao_Paulo", "start": "2018-02-16", "end": "2018-02-18""#)
                == ["2018-02-16T02:00:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z", "2018-02-19T03:00:00Z"])
        let span = try time("2018-02-18T02:30:00Z")...time("2018-02-18T02:30:00Z")
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "America/Sao_Paulo""#, span: span)
                == ["2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"])
    }

    /// Hours begin where the clock shows a full hour, whatever the distance to UTC.
    @Test func hoursGoByTheClockOnTheWall() throws {
        #expect(
            try bounds(
                #""trend": {"by": "hour"}, "time_zone": "Asia/Kolkata", "start": "2024-01-01T00:00:00Z", "end": "2024-01-01T01:00:00Z""#)
                == ["2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z", "2024-01-01T01:00:00Z"])
        let span = try time("2024-01-01T00:00:00Z")...time("2024-01-01T00:31:00Z")
        #expect(
            try bounds(#""trend": {"by": "hour"}, "time_zone": "Asia/Kolkata""#, span: span)
                == ["2023-12-31T23:30:00Z", "2024-01-01T00:30:00Z", "2024-01-01T01:30:00Z"])
        // Lord Howe changes by half an hour: 2:00 becomes 1:30 in April, 2:30 in October.
        let autumn = try time("2024-04-06T14:30:00Z")...time("2024-04-06T15:40:00Z")
        #expect(
            try bounds(#""trend": {"by": "hour"}, "time_zone": "Australia/Lord_Howe""#, span: autumn)
                == ["2024-04-06T14:00:00Z", "2024-04-06T15:30:00Z", "2024-04-06T16:30:00Z"])
        let spring = try time("2024-10-05T15:00:00Z")...time("2024-10-05T16:30:00Z")
        #expect(
            try bounds(#""trend": {"by": "hour"}, "time_zone": "Australia/Lord_Howe""#, span: spring)
                == ["2024-10-05T14:30:00Z", "2024-10-05T16:00:00Z", "2024-10-05T17:00:00Z"])
    }

    /// Samoa had no 30 December 2011.
    @Test func aDayThatWasLeftOutHasNoBucket() throws {
        let span = try time("2011-12-29T12:00:00Z")...time("2011-12-31T12:00:00Z")
        #expect(
            try bounds(#""trend": {"by": "day"}, "time_zone": "Pacific/Apia""#, span: span)
                == ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z"])
    }
}
