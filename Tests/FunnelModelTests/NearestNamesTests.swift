import FunnelModel
import Testing

struct NearestNamesTests {
    @Test(
        arguments: [
            ("laod", ["up", "load", "query"], ["load"]), ("page_veiw", ["visit", "page_views", "page_view"], ["page_view", "page_views"]),
            ("add to cart", ["Add to Cart", "Add-To-Wishlist"], ["Add to Cart"]),
            ("window", ["clock", "window_anchor", "window_duration"], ["window_anchor", "window_duration"]),
            ("ubo", ["up", "users"], ["up"]), ("x", ["y", "xy"], []), ("", ["y"], []),
        ] as [(String, [String], [String])])
    func similarNamesComeFirst(name: String, known: [String], nearest: [String]) {
        #expect(NearestNames.of(name, among: known) == nearest)
    }

    @Test func veryLongNamesAreNotCompared() {
        let long = String(repeating: "a", count: 100_000)
        #expect(NearestNames.of(long, among: [long]).isEmpty && NearestNames.of("a", among: [long]).isEmpty)
    }

    @Test func alternativesAreOnePhrase() {
        #expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(NearestNames.alternatives) == ["", "a", "a or b", "a, b or c"])
    }

    /// A fault lists the known members for the first unknown ones only, so that an answer to many of them stays short.
    @Test func unknownMembersAreFaultsWithTheKnownOnes() {
        let members = (0..<5).map { JSONValue.Member(ByteString("stepz\($0)"), 1) }
        var reader = FieldReader(.object([.init("steps", 1)] + members), path: "funnel.")
        for known: ByteString in ["window", "steps", "clock"] { _ = reader.value(known) }
        reader.rejectUnknown()
        #expect(
            reader.faults.map(\.reason)
                == Array(repeating: "is not a known member; known are steps, clock, window", count: 3)
                + Array(repeating: "is not a known member", count: 2))
        #expect(reader.faults.first?.field == "funnel.stepz0")
        var query = FieldReader(["limit": "1"])
        query.rejectUnknown("parameter")
        #expect(query.faults == [FieldFault("limit", "is not a known parameter")])
    }
}
