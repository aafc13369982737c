import CoordinatorService
import FunnelModel
import TestSupport
import Testing

/// The JSON of figures, segments, periods and variants. Expected numbers of statistics were computed apart from the program,
/// by the formulas of STATISTICS.md.
struct FigureTests {
    private func figures(_ definition: FunnelDefinition, _ counts: [UInt64], open: [UInt64]? = nil, stillOpen: [UInt64]? = nil) -> JSONValue
    {
        var result = PartialResult(steps: counts.count, times: false)
        result.counts = counts
        if let open { result.open = open }
        result.stillOpen = stillOpen
        return .object(FunnelFigures(definition: definition, result: result).members)
    }

    private func column(_ figures: JSONValue, _ key: ByteString) -> [JSONValue?] { (figures["steps"]?.asArray ?? []).map { $0[key] } }

    @Test func optionalRowsHaveNoDropOffAndAreSkipped() {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b"), .init("c"), .init("d")])
        definition.steps[1].isOptional = true
        let json = figures(definition, [100, 20, 80, 10])
        #expect(column(json, "dropoff") == [.null, .null, 20, 70])
        #expect(column(json, "dropout_rate") == [.null, .null, 20.0, 87.5])
        #expect(column(json, "conversion_from_previous") == [.null, 0.2, 0.8, 0.125])
        #expect(column(json, "conversion_from_first") == [1.0, 0.2, 0.8, 0.1])
        #expect(column(json, "conversion_rate") == [0.1, .null, 0.125, 1.0])
        #expect(column(json, "dropout_rate_ci")[1] == .null && column(json, "dropout_rate_ci")[2]?.asArray?.count == 2)
        #expect(json["biggest_dropoff"] == ["step": "d", "index": 4, "users": 70])
        // More did the optional step than the required one behind it: that is no loss.
        #expect(figures(definition, [5, 5, 5, 5])["biggest_dropoff"] == .null)
        #expect(figures(definition, [5, 0, 5, 5])["biggest_dropoff"] == .null)
    }

    @Test func whoIsStillOpenIsToldWhereTheUserDropped() {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b"), .init("c"), .init("d")])
        let open = figures(definition, [100, 60, 50, 10], stillOpen: [7, 0, 3, 0])
        #expect(column(open, "open") == [.null, 7, 0, 3] && column(open, "dropoff") == [.null, 40, 10, 40])
        // Whose last step is the optional one drops before the required step behind it.
        definition.steps[1].isOptional = true
        #expect(column(figures(definition, [100, 20, 80, 10], stillOpen: [5, 2, 3, 0]), "open") == [.null, .null, 7, 3])
        #expect(column(figures(definition, [100, 20, 80, 10]), "open") == [.null, .null, .null, .null])
        definition.countBy = .sessions
        #expect(column(figures(definition, [100, 20, 80, 10], stillOpen: [0, 0, 0, 0]), "open") == [.null, .null, .null, .null])
    }

    @Test func attemptsHaveNoIntervalsAndOnlyUsersAForecast() {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b")])
        let users = figures(definition, [10, 4], open: [2, 0])
        #expect(users["expected_conversions"] == 5.0 && users["conversion_ci"]?.asArray?.count == 2)
        definition.countBy = .attempts
        let attempts = figures(definition, [10, 4], open: [2, 0])
        #expect(attempts["conversion"] == 0.4 && attempts["conversion_ci"] == .null && attempts["expected_conversions"] == .null)
        for key in ["dropout_rate_ci", "conversion_rate_ci", "conversion_from_first_ci", "conversion_from_previous_ci"] as [ByteString] {
            #expect(column(attempts, key) == [.null, .null], "\(key.string)")
        }
        definition.countBy = .sessions
        let sessions = figures(definition, [10, 4])
        #expect(sessions["expected_conversions"] == .null && sessions["conversion_ci"]?.asArray?.count == 2)
    }

    @Test func aPeriodIsComparedAndNotTested() throws {
        var definition = FunnelDefinition(steps: [.init("a"), .init("b")])
        definition.window = 86_400_000_000
        let day: Int64 = 86_400_000_000
        func members(_ counts: [UInt64], asOf: Int64) -> JSONValue {
            .object(
                PreviousPeriod(definition, asOf: asOf, range: 0..<day, counts: counts, current: [10, 5], currentEnd: 2 * day).members)
        }
        let json = members([20, 5], asOf: 2 * day)
        #expect(json["previous"]?["start"] == "1970-01-01T00:00:00Z" && json["previous"]?["end"] == "1970-01-02T00:00:00Z")
        #expect(json["previous"]?["entered"] == 20 && json["previous"]?["conversion"] == 0.25)
        #expect(json["previous"]?["immature"] == false && json["change"]?["immature"] == true)
        #expect(json["change"]?["entered"] == -10 && json["change"]?["converted"] == 0 && json["change"]?["conversion"] == 0.25)
        #expect(
            json["change"]?["steps"] == [
                ["step": "a", "index": 1, "count": -10, "conversion_from_first": 0.0],
                ["step": "b", "index": 2, "count": 0, "conversion_from_first": 0.25],
            ])
        #expect(members([0, 0], asOf: 3 * day)["change"]?["conversion"] == .null)
        #expect(members([0, 0], asOf: 3 * day)["change"]?["immature"] == false)
    }

    // MARK: - Variants

    private static let funnel = FunnelDefinition(steps: [.init("a"), .init("b")])

    private func variants(
        _ counts: [PropertyValue: [UInt64]], absent: [UInt64] = [0, 0], control: PropertyValue? = nil,
        expected: [(value: ByteString, share: Double)]? = nil, exposure: VariantSplit.Exposure = .attempt(.step(1))
    ) throws -> JSONValue {
        let groups = ValueGroups(absent: absent, counts)
        let asked = PropertyVariants(VariantSplit(property: "v", exposure: exposure), control: control, expected: expected)
        return try VariantsReport(asked, groups, several: 3, Self.funnel, immature: true).json
    }

    private func near(_ value: JSONValue?, _ expected: Double) -> Bool {
        value?.asDouble.map { abs($0 - expected) < 1e-9 } ?? false
    }

    @Test func variantsAreComparedWithTheControl() throws {
        let json = try variants(
            [.string("b"): [40, 18], .string("control"): [40, 8], .string("c"): [40, 10]], absent: [7, 7],
            expected: [("control", 2), ("b", 1), ("c", 1)])
        #expect(json["control"] == "control" && json["immature"] == true && json["touch"] == "step:1")
        let groups = try #require(json["groups"]?.asArray)
        #expect(groups.map { $0["value"] } == ["control", "b", "c"])
        #expect(groups[0]["comparison"] == .null && groups[0]["conversion"] == 0.2)
        let b = try #require(groups[1]["comparison"])
        #expect(near(b["difference"], 0.25) && near(b["lift"], 1.25) && b["method"] == "two_proportion_z")
        #expect(near(b["difference_ci"]?.asArray?[0], 0.04454530538766974) && near(b["difference_ci"]?.asArray?[1], 0.42899906448415304))
        #expect(near(b["p_value"], 0.016984200582130623) && near(b["adjusted_p_value"], 0.033968401164261246))
        let c = try #require(groups[2]["comparison"])
        #expect(near(c["p_value"], 0.59231829309636) && near(c["adjusted_p_value"], 0.59231829309636))
        let sequential = try #require(b["sequential_p_value"]?.asDouble)
        #expect(sequential > 0.016984 && sequential <= 1)
        #expect(abs(groups.reduce(0) { $0 + ($1["chance_to_be_best"]?.asDouble ?? 0) } - 1) < 1e-6)
        #expect(json["without_value"]?["entered"] == 7)
        // chi-square 13.33 with two degrees.
        #expect(near(json["sample_ratio"]?["p_value"], 0.0012726338013398079) && json["sample_ratio"]?["mismatch"] == false)
        #expect(json["sample_ratio"]?["expected"]?.asArray?.first == ["value": "control", "share": 0.5])
    }

    @Test func byWhichRuleUsersCountIsTold() throws {
        let first = try variants([.string("a"): [4, 1]], exposure: .first)
        #expect(first["exposure"] == "first" && first["touch"] == .null && first["several_values"] == 3)
        let attempt = try variants([.string("a"): [4, 1]], exposure: .attempt(.last))
        #expect(attempt["exposure"] == "attempt" && attempt["touch"] == "last" && attempt["several_values"] == 3)
    }

    @Test func theControlIsTheOneGivenElseTheFirst() throws {
        let counts: [PropertyValue: [UInt64]] = [.string("b"): [4, 1], .string("a"): [40, 8]]
        #expect(try variants(counts)["control"] == "a")
        #expect(try variants(counts, control: .string("b"))["groups"]?.asArray?.map { $0["value"] } == ["b", "a"])
        // Nobody has it yet, but it is planned: there is nothing to compare with.
        let none = try variants(counts, control: .string("z"), expected: [("z", 1), ("a", 1), ("b", 1)])
        #expect(none["groups"]?.asArray?.map { $0["value"] } == ["z", "a", "b"])
        #expect(none["groups"]?.asArray?[1]["comparison"]?["p_value"] == .null && none["sample_ratio"]?["mismatch"] == true)
        // Nobody has any value.
        let early = try variants([:], control: .string("z"))
        #expect(early["groups"]?.asArray?.map { $0["value"] } == ["z"] && early["groups"]?.asArray?[0]["entered"] == 0)
        let nobody = try variants([:])
        #expect(nobody["control"] == .null && nobody["groups"] == [] && nobody["sample_ratio"]?["p_value"] == .null)
    }

    @Test func aVariantThatNobodyGotIsShown() throws {
        let json = try variants([.integer(1): [50, 5]], expected: [("1", 1), ("2", 1)])
        let groups = try #require(json["groups"]?.asArray)
        #expect(groups.map { $0["value"] } == [1, "2"] && groups[1]["entered"] == 0 && groups[1]["conversion"] == .null)
        #expect(json["sample_ratio"]?["mismatch"] == true)
    }

    private func fault(_ body: () throws -> JSONValue) -> [String] { faults(body).map(\.field) }

    private func faults(_ body: () throws -> JSONValue) -> [FieldFault] {
        do {
            _ = try body()
            return []
        } catch {
            return (error as? InvalidDocument)?.faults ?? [FieldFault("", "\(error)")]
        }
    }

    @Test(arguments: [
        (PropertyValue.string("controll"), #"no user has the value "controll" of "v"; users have 1, "a", "b""#),
        (.string("1"), #"no user has the value "1" of "v"; users have 1, "a", "b""#),
        (.bool(true), #"no user has the value true of "v"; users have 1, "a", "b""#),
    ])
    func aControlThatNobodyHasIsAnError(control: PropertyValue, reason: String) {
        let counts: [PropertyValue: [UInt64]] = [.string("b"): [4, 1], .string("a"): [40, 8], .integer(1): [2, 0]]
        #expect(faults { try variants(counts, control: control) } == [FieldFault("variants.control", reason)])
        #expect(faults { try variants(counts, control: .integer(1)) } == [])
    }

    @Test func whatWasNotPlannedIsAnError() {
        let many = Dictionary(uniqueKeysWithValues: (0..<11).map { (PropertyValue.integer($0), [1, 0] as [UInt64]) })
        #expect(fault { try variants(many) } == ["variants.property"])
        #expect(
            fault { try variants([.string("a"): [1, 0], .string("x"): [1, 0]], expected: [("a", 1), ("b", 1)]) } == ["variants.expected"])
        #expect(
            fault { try variants([.string("1"): [1, 0], .integer(1): [1, 0]], expected: [("1", 1), ("b", 1)]) } == ["variants.expected"])
    }

    @Test func twoFunnelsAreComparedAsPairs() {
        var pairs = PairedCounts()
        pairs.both = 3
        pairs.firstOnly = 6
        pairs.secondOnly = 1
        pairs.neither = 4
        pairs.aloneInFirst = .init(entered: 2, converted: 1)
        let json = PairedReport(names: ["x", "y"], definitions: [Self.funnel, Self.funnel], pairs).json
        let funnels = json["funnels"]?.asArray ?? []
        #expect(
            funnels.map { $0["name"] } == ["x", "y"] && funnels.map { $0["entered"] } == [16, 14]
                && funnels.map { $0["converted"] } == [10, 4])
        #expect(json["table"]?["entered_both"]?["users"] == 14 && json["table"]?["entered_first_only"] == ["entered": 2, "converted": 1])
        let paired = json["paired"]
        #expect(near(paired?["difference"], -5 / 14) && paired?["method"] == "mcnemar_exact" && near(paired?["p_value"], 0.125))
        #expect(
            near(paired?["difference_ci"]?.asArray?[0], -0.6138730273946383)
                && near(paired?["difference_ci"]?.asArray?[1], 0.007738004707083801))
        #expect(near(paired?["chi_square_p_value"], 0.13057001811573618))
        let nobody = PairedReport(names: ["x", "y"], definitions: [Self.funnel, Self.funnel], PairedCounts()).json
        #expect(
            nobody["paired"]?["p_value"] == .null && nobody["paired"]?["method"] == .null
                && nobody["funnels"]?.asArray?[0]["conversion"] == .null)
    }
}
