import FunnelModel
import ServiceRuntime
import Testing

/// YAML that people write, as JSON values.
struct YAMLDocumentTests {
    @Test(arguments: [
        ("a: 1\nb: [x, 'y', \"z\"]\n", #"{"a":1,"b":["x","y","z"]}"#),
        ("# nothing\n", "null"), ("", "null"), ("a:\nb: ~\nc: null\n", #"{"a":null,"b":null,"c":null}"#),
        ("[true, false, 1.5, -2, 1e3]", "[true,false,1.5,-2,1000]"),
        // YAML has more words, which names of events may be.
        (
            "[yes, no, on, True, NULL, 007, 0x10, 1_000, .5, +1, 2026-01-01, .inf, 1e999]",
            #"["yes","no","on","True","NULL","007","0x10","1_000",".5","+1","2026-01-01",".inf","1e999"]"#
        ),
        ("['true', \"1\", '']", #"["true","1",""]"#),
        ("- rename_events: [Sign Up]\n  to: Signup\n", #"[{"rename_events":["Sign Up"],"to":"Signup"}]"#),
        ("a: |\n  two\n  lines\n", #"{"a":"two\nlines\n"}"#),
        ("a: [1, \"\\0\"]", #"{"a":[1,"\u0000"]}"#),
        // JSON is YAML.
        (#"{"a":{"b":[1,"2",null,true]}}"#, #"{"a":{"b":[1,"2",null,true]}}"#),
    ])
    func values(text: String, json: String) throws {
        #expect(String(decoding: try YAMLDocument.json(text).encode(), as: UTF8.self) == json)
    }

    @Test(arguments: [
        ("a: [1", "body: is not YAML: line 2, column 1: "), ("a: 1\na: 2\n", "body: is not YAML: line 1: a is given twice"),
        ("a: 1\n---\nb: 2\n", "body: is not YAML: line 2, column 1: "),
        ("a: &x 1\nb: *x\n", "line 1: has an anchor (&), which is not supported; write the value out"),
        ("a: *x\n", "body: is not YAML: line 1, column 4: found undefined alias"),
        ("\na: !!str 1\n", "line 2: has a tag (!), which is not supported; quote what is to be text"),
        ("a: !x {}\n", "line 1: has a tag (!), which is not supported; quote what is to be text"),
        ("? [1]\n: 2\n", "line 1: has a key that is no text"),
    ])
    func faults(text: String, fault: String) throws {
        let error = try #require(throws: InvalidDocument.self) { try YAMLDocument.json(text) }
        #expect("\(error)".hasPrefix(fault), "\(error)")
    }

    @Test func severalDocuments() throws {
        let parts = try YAMLDocument.parts("# first\na: 1\n---\n---\n# nothing\n---\nb: [&x 1]\n---\nc: 3\n")
        #expect(parts.map(\.line) == [2, 7, 9])
        #expect(parts.map { try? $0.value.get() } == [["a": 1], nil, ["c": 3]])
        #expect(throws: InvalidDocument([FieldFault("line 7", "has an anchor (&), which is not supported; write the value out")])) {
            try parts[1].value.get()
        }
        #expect(try YAMLDocument.parts("").isEmpty)
        #expect(try YAMLDocument.parts(#"{"a": 1}"#).map { try $0.value.get() } == [["a": 1]])
        let cut = try #require(throws: InvalidDocument.self) { try YAMLDocument.parts("a: 1\n---\nb: [1\n") }
        #expect("\(cut)".hasPrefix("body: is not YAML: line 4, column 1: "), "\(cut)")
    }

    /// Documents that would be large, or deep, or take long.
    @Test func hostileDocuments() throws {
        let deep = try #require(throws: InvalidDocument.self) {
            try YAMLDocument.json(String(repeating: "[", count: 65) + String(repeating: "]", count: 65))
        }
        #expect("\(deep)" == "line 1: is nested deeper than 64")
        #expect(throws: InvalidDocument.self) { try YAMLDocument.json(String(repeating: "[", count: 100_000)) }
        #expect(throws: InvalidDocument.self) { try YAMLDocument.json(String(repeating: "- ", count: 100_000)) }
        let laughs =
            "a0: &a0 [x]\n"
            + (1...30).map { "a\($0): &a\($0) [\(Array(repeating: "*a\($0 - 1)", count: 9).joined(separator: ","))]\n" }.joined()
        let anchors = try #require(throws: InvalidDocument.self) { try YAMLDocument.json(laughs) }
        #expect("\(anchors)".hasPrefix("line 1: has an anchor"))
        let long = try #require(throws: InvalidDocument.self) {
            try YAMLDocument.json(String(repeating: "#", count: YAMLDocument.textBytes + 1))
        }
        #expect("\(long)" == "body: has 1048577 bytes; the limit is 1048576")
    }
}
