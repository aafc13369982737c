import CoordinatorService
import FunnelModel
import FunnelProtocol
import Testing

/// The bodies that create API keys and projects.
struct KeyRequestTests {
    private static let now: Int64 = 1_700_000_000_000_000

    private func parse(_ text: String) throws -> KeyRequest { try KeyRequest.parse(try JSONParser.parse(Array(text.utf8)), now: Self.now) }

    private func faults(_ text: String) -> [String] {
        do {
            _ = try parse(text)
            return []
        } catch {
            return (error as? InvalidDocument)?.faults.map(\.field) ?? ["\(error)"]
        }
    }

    @Test func allMembersAreRead() throws {
        let full = try parse(
            """
            {"role":"write","name":"web shop","project":4294967295,"expires_in":"90d",
             "origins":["https://Shop.example:443","https://shop.example","http://localhost:3000"]}
            """)
        #expect(full.role == .write && full.name == "web shop" && full.project == .max)
        #expect(full.expires == 1_707_776_000)
        #expect(full.origins == ["https://shop.example", "http://localhost:3000"])
        let least = try parse(#"{"role":"admin","name":null,"origins":[]}"#)
        #expect(least == (try parse(#"{"role":"admin"}"#)) && least.expires == nil && least.project == nil && least.origins.isEmpty)
        #expect(try parse(#"{"role":"read","expires_at":"2023-11-15"}"#).expires == 1_700_006_400)
        #expect(try parse(#"{"role":"read","expires_at":"2023-11-14T22:13:21Z"}"#).expires == 1_700_000_001)
    }

    @Test(
        arguments: [
            (#"[]"#, ["body", "role"]), (#"{}"#, ["role"]), (#"{"role":1}"#, ["role"]), (#"{"role":"owner"}"#, ["role"]),
            (#"{"role":"Write"}"#, ["role"]), (#"{"role":"read","name":""}"#, ["name"]), (#"{"role":"read","name":" \t"}"#, ["name"]),
            (#"{"role":"read","name":"a\nb"}"#, ["name"]), (#"{"role":"read","name":"a\u202eb"}"#, ["name"]),
            (#"{"role":"read","project":0}"#, ["project"]), (#"{"role":"read","project":4294967296}"#, ["project"]),
            (#"{"role":"read","project":"1"}"#, ["project"]), (#"{"role":"read","expires_in":"59s"}"#, ["expires_in"]),
            (#"{"role":"read","expires_in":"3661d"}"#, ["expires_in"]), (#"{"role":"read","expires_in":"soon"}"#, ["expires_in"]),
            (#"{"role":"read","expires_at":"2023-11-14T22:13:20Z"}"#, ["expires_at"]),
            (#"{"role":"read","expires_at":"2040-01-01"}"#, ["expires_at"]),
            (#"{"role":"read","expires_at":"soon"}"#, ["expires_at"]),
            (#"{"role":"read","expires_at":"2023-12-01","expires_in":"1d"}"#, ["expires_at"]),
            (#"{"role":"read","origins":["https://shop.example"]}"#, ["origins"]),
            (#"{"role":"write","origins":"https://a.example"}"#, ["origins"]),
            (#"{"role":"write","origins":["https://a.example/","*",1,"https://b.example"]}"#, ["origins[0]", "origins[1]", "origins[2]"]),
            (#"{"role":"write","key":"mine"}"#, ["key"]),
            (
                #"{"role":"x","name":"","project":0,"expires_in":"1s","origins":1,"more":1}"#,
                ["role", "name", "project", "expires_in", "origins", "more"]
            ),
        ] as [(String, [String])]) func everyFaultIsNamed(text: String, fields: [String])
    { #expect(faults(text) == fields) }

    @Test func limitsAreThoseOfTheLists() {
        let name = String(repeating: "é", count: 50)
        #expect(faults(#"{"role":"read","name":"\#(name)"}"#).isEmpty)
        #expect(faults(#"{"role":"read","name":"\#(name)x"}"#) == ["name"])
        func list(_ count: Int) -> String { (0..<count).map { "\"https://a\($0).example\"" }.joined(separator: ",") }
        #expect(faults(#"{"role":"write","origins":[\#(list(20))]}"#).isEmpty)
        #expect(faults(#"{"role":"write","origins":[\#(list(21))]}"#) == ["origins"])
    }

    @Test func projectsHaveANameAndSettings() throws {
        func parse(_ text: String) throws -> ProjectRequest { try ProjectRequest.parse(try JSONParser.parse(Array(text.utf8))) }
        #expect(try parse(#"{"name":"Shop","settings":{}}"#) == (try parse(#"{"name":"Shop"}"#)))
        let bad: [(String, [String])] = [
            ("{}", ["name"]), (#"{"name":1}"#, ["name"]), (#"{"name":" "}"#, ["name"]), (#"{"name":"Shop","settings":[]}"#, ["settings"]),
            (#"{"name":"Shop","settings":{"retention":1}}"#, ["settings.retention"]), (#"{"name":"Shop","id":2}"#, ["id"]),
        ]
        for (text, fields) in bad {
            let error = #expect(throws: InvalidDocument.self) { try parse(text) }
            #expect(error?.faults.map(\.field) == fields, "\(text)")
        }
    }
}
