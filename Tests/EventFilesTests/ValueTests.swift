import EventFiles
import EventShapes
import FunnelModel
import Testing
import TimeZones

struct ValueTests {
    private func cells(_ cells: [String], number: Bool = false, text: Bool = false) throws -> ReadFile {
        let rows = cells.enumerated().map { "u\($0),View,2026-01-01,\($1)\n" }.joined()
        return try ReadFile(
            "user_id,event,timestamp,x\n" + rows,
            ReadFile.options {
                if number { $0.shape.numberColumns = ["x"] }
                if text { $0.shape.textColumns = ["*"] }
            })
    }

    @Test func cellIsANumberOnlyIfItPrintsBack() throws {
        let texts = [
            "1.10", "11.0.1", "12e2", "02134", "1234e567", "1.0", "-0", "+1", ".5", "5.", "9223372036854775808", "0.10", "1_000", " 1",
            "NaN",
        ]
        #expect(try cells(texts).values(of: "x") == texts.map { .string(ByteString($0)) })
        let numbers = try cells(["1.1", "12345", "-7", "0", "-0.5", "9223372036854775807", "0.1234567890123456", "13.75"])
        #expect(
            numbers.values(of: "x") == [
                .double(1.1), .integer(12345), .integer(-7), .integer(0), .double(-0.5), .integer(.max), .double(0.1234567890123456),
                .double(13.75),
            ])
        // 18 digits that no double holds.
        #expect(try cells(["0.123456789012345678"]).values(of: "x") == [.string("0.123456789012345678")])
        #expect(
            try cells(["true", "false", "True", "\"1.10\""]).values(of: "x") == [
                .bool(true), .bool(false), .string("True"), .string("1.10"),
            ])
    }

    @Test func columnsMayBeNumbersOrText() throws {
        let prices = ["12.50", "13.75", "1e3", "007"]
        #expect(try cells(prices, number: true).values(of: "x") == [.double(12.5), .double(13.75), .double(1000), .string("007")])
        #expect(try cells(["1", "true"], text: true).values(of: "x") == [.string("1"), .string("true")])
        let mixed = try cells(prices).mixed
        #expect(mixed.count == 1 && mixed[0].name == "x" && mixed[0].numbers == 1 && mixed[0].texts == 3)
        #expect(try cells(["1", "2"]).mixed.isEmpty)
    }

    @Test func flatLinesKeepTheirMembers() throws {
        let file = try ReadFile(
            #"{"user_id":"u2","event":"View","timestamp":"2026-01-01T10:00:00Z","plan":"pro","a":{"b":1},"properties":{"plan":"free","c":[1]}}"#
        )
        #expect(file.values(of: "plan") == [.string("free")])
        #expect(file.values(of: "a.b") == [.integer(1)])
        #expect(file.values(of: "c") == [.string("[1]")])
        let flat = try ReadFile(#"{"user_id":"u2","event":"View","timestamp":"2026-01-01T10:00:00Z","plan":"pro"}"#)
        #expect(flat.values(of: "plan") == [.string("pro")])
    }

    @Test func eventIsTheNameWhereBothAreThere() throws {
        let line = #"{"user_id":"u1","event":"Order","event_type":"track","timestamp":"2026-01-01T10:00:00Z"}"#
        for options in [ReadFile.options(), ReadFile.options { $0.shape.event = ["event"] }] {
            let file = try ReadFile(line, options)
            #expect(file.events.map(\.name) == ["Order"])
            #expect(file.values(of: "event_type") == [.string("track")])
        }
        let csv = try ReadFile("user_id,event,event_type,timestamp\nu1,Order,track,2026-01-01\n")
        #expect(csv.events.map(\.name) == ["Order"] && csv.values(of: "event_type") == [.string("track")])
    }

    @Test func placesInsideObjectsAndJSONColumns() throws {
        let change = { (options: inout FileOptions) in
            options.shape.user = ["properties.distinct_id"]
            options.shape.anonymous = ["device"]
            options.shape.jsonText = ["properties"]
            options.required = []
        }
        let line = try ReadFile(
            #"{"event":"A","timestamp":"2026-01-01","properties":{"distinct_id":42,"x":1},"device":"d"}"# + "\n"
                + #"{"event":"A","timestamp":"2026-01-01","properties":"{\"x\":2}","device":"d"}"#, ReadFile.options(change))
        #expect(line.events.map(\.user) == ["42", "d"])
        #expect(line.values(of: "x") == [.integer(1), .integer(2)])
        #expect(line.events.allSatisfy { $0.properties.count == 1 })
        let csv = try ReadFile(
            "event,timestamp,properties,device\nA,2026-01-01,\"{\"\"distinct_id\"\":\"\"p\"\",\"\"x\"\":1.0}\",d\nA,2026-01-01,,d\nA,2026-01-01,{,d\n",
            ReadFile.options(change))
        #expect(csv.events.map(\.user) == ["p", "d"])
        #expect(csv.rejected.map(\.lines) == [4...4])
    }

    @Test func timesOfTheTrade() throws {
        func times(_ texts: [String], _ change: (inout FileOptions) -> Void = { _ in }) throws -> [String] {
            let rows = texts.map { "u,View,\"\($0)\"\n" }.joined()
            let file = try ReadFile("user_id,event,timestamp\n" + rows, ReadFile.options(change))
            return file.events.map { Timestamp.format($0.time) } + file.rejected.map(\.reason)
        }
        #expect(
            try times([
                "2019-11-01 00:00:00 UTC", "2019-11-01 00:00:00.5 UTC", "2019-11-01 00:00:00 +0000", "2019-11-01 00:00:00 GMT",
                "1610606454087654",
                "1610606454087654321", "1767261600.9999999", "2026-01-01T10:00:00.9999999Z",
            ]) == [
                "2019-11-01T00:00:00Z", "2019-11-01T00:00:00.500Z", "2019-11-01T00:00:00Z", "2019-11-01T00:00:00Z",
                "2021-01-14T06:40:54.087654Z",
                "2021-01-14T06:40:54.087654Z", "2026-01-01T10:00:00.999999Z", "2026-01-01T10:00:00.999999Z",
            ])
        #expect(
            try times(["31/12/2024 11:05 PM", "1/2/2025 9:00 am"]) { $0.shape.timeFormat = try? TimeFormat("%d/%m/%Y %I:%M %p") }
                == ["2024-12-31T23:05:00Z", "2025-02-01T09:00:00Z"])
        for format in ["%d/%m/%Y %H:%M %p", "%d/%m/%Y %I:%M", "%H:%M", "%Q", "%Y%"] {
            #expect(throws: TimeFormat.Fault.self) { try TimeFormat(format) }
        }
        // Twice in autumn, never in spring.
        let berlin = try times(["2024-10-27 02:30:00", "2024-03-31 02:30:00", "2024-07-01", "2024-07-01 12:00:00Z"]) {
            $0.zone = NamedZone("Europe/Berlin")
        }
        #expect(berlin.prefix(3) == ["2024-10-27T00:30:00Z", "2024-06-30T22:00:00Z", "2024-07-01T12:00:00Z"])
        #expect(berlin.last?.contains("does not exist") == true)
    }

    @Test func timesInsideJSONTextAreTakenByTheirDigits() throws {
        let file = try ReadFile(
            "user_id,event,t\nu,A,\"{\"\"at\"\":1790115322.1074269}\"\n",
            ReadFile.options {
                $0.shape.time = ["t.at"]
                $0.shape.jsonText = ["t"]
                $0.required = []
            })
        #expect(file.events.map(\.time) == [1_790_115_322_107_426])
    }

    @Test func theOtherNameStandsInForAnEmptyEvent() throws {
        let file = try ReadFile("user_id,event,event_type,timestamp\nu,,T,2026-01-01\nu,A,T,2026-01-01\n")
        #expect(file.events.map(\.name) == ["T", "A"] && file.values(of: "event_type") == [nil, .string("T")])
    }

    @Test func idsOfMoreThan63BitsKeepTheirDigits() throws {
        let file = try ReadFile(
            #"{"user_id":12345678901234567890,"event":"A","timestamp":1767261600}"# + "\n"
                + #"{"user_id":1.5,"event":"A","timestamp":1767261600}"#)
        #expect(file.events.map(\.user) == ["12345678901234567890"] && file.rejected.count == 1)
    }

    @Test func numberOfSecondsInJSONIsTakenByItsDigits() throws {
        for line in [
            #"{"user_id":"u","event":"A","timestamp":1767261600.9999999}"#, #"{"user_id":7,"event":"A","timestamp":1767261600.9999999}"#,
        ] {
            #expect(try ReadFile(line).events.map { Timestamp.format($0.time) } == ["2026-01-01T10:00:00.999999Z"])
        }
    }
}
