import FunnelModel
import ServiceRuntime
import Testing

/// Where the values of settings come from, and how faults name that place.
struct SettingOriginTests {
    private static let table = SettingsTable(
        program: "p", summary: "s", example: "e",
        settings: [
            Setting("host", .text, default: "127.0.0.1", "h"), Setting("port", .integer(1...65_535), default: "1", "p"),
            Setting("open", .flag, default: "false", "o"), Setting("level", .choice(["low", "high"]), default: "low", "l"),
            Setting("keys", .list, secret: true, "k"), Setting("data", .text, "d"),
        ])

    private func resolve(
        _ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]
    ) throws(InvalidDocument) -> Settings {
        try Settings.resolve(Self.table, arguments: arguments, environment: environment) { files[$0] }.0
    }

    private func faults(_ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]) -> [String] {
        do throws(InvalidDocument) {
            _ = try resolve(arguments, environment: environment, files: files)
            return []
        } catch {
            return error.faults.map { "\($0.field) \($0.reason)" }
        }
    }

    // MARK: Precedence

    @Test func aFlagGoesBeforeAVariableAVariableBeforeTheFileTheFileBeforeTheDefault() throws {
        for sources in 0..<8 {
            let (flag, variable, file) = (sources & 4 != 0, sources & 2 != 0, sources & 1 != 0)
            let settings = try resolve(
                (file ? ["--config", "f"] : []) + (flag ? ["--port", "4"] : []), environment: variable ? ["SLUICE_PORT": "3"] : [:],
                files: ["f": "port: 2\n"])
            let (port, origin) = flag ? (4, "--port") : variable ? (3, "SLUICE_PORT") : file ? (2, "f: port") : (1, "default")
            #expect(settings.integer("port") == port, "sources \(sources)")
            #expect(settings.isSet("port") == (sources > 0), "sources \(sources)")
            #expect(settings.printed.contains("\nport: \(port)  # \(origin)\n"), "sources \(sources): \(settings.printed)")
        }
    }

    @Test func anEmptyVariableIsNone() throws {
        let settings = try resolve([], environment: ["SLUICE_PORT": "", "SLUICE_OPEN": "", "SLUICE_CONFIG": ""])
        #expect(settings.integer("port") == 1 && !settings.isSet("port") && !settings.flag("open"))
        // A flag with an empty text is given all the same.
        for arguments in [["--host="], ["--host", ""]] {
            let settings = try resolve(arguments)
            #expect(settings.text("host") == "" && settings.isSet("host"), "\(arguments)")
        }
    }

    @Test func theFileIsNamedByFlagOrVariable() throws {
        let files = ["a": "port: 2", "b": "port: 3"]
        #expect(try resolve([], environment: ["SLUICE_CONFIG": "a"], files: files).integer("port") == 2)
        #expect(try resolve(["--config=b"], environment: ["SLUICE_CONFIG": "a"], files: files).integer("port") == 3)
        #expect(faults([], environment: ["SLUICE_CONFIG": "c"], files: files) == ["SLUICE_CONFIG cannot read c"])
        #expect(faults(["--config", "c"], environment: ["SLUICE_CONFIG": "a"], files: files) == ["--config cannot read c"])
    }

    @Test(arguments: [
        (["--open"], true), (["--open", "true"], true), (["--open", "false"], false), (["--open=true"], true), (["--open=false"], false),
        (["--open", "--port", "7"], true), ([], false),
    ])
    func aFlagOfTwoValuesNeedsNone(arguments: [String], value: Bool) throws {
        #expect(try resolve(arguments).flag("open") == value)
    }

    @Test func aValueMayHoldAnEqualsSignAndTheLastFlagCounts() throws {
        #expect(try resolve(["--host=a=b", "--data", "--port"]).text("host") == "a=b")
        #expect(try resolve(["--host=a=b", "--data", "--port"]).text("data") == "--port")
        #expect(try resolve(["--port", "5", "--port=6"]).integer("port") == 6)
    }

    // MARK: Faults

    @Test func allFaultsComeAtOnceEachWithItsOrigin() {
        let found = faults(
            ["--config", "f.yaml", "--port", "x", "--what", "--level=mid", "stray", "--what=else", "--host"],
            environment: ["SLUICE_OPEN": "yes"],
            files: ["f.yaml": "port: 70000\nhttp:\n  port: 1\nlevel: [a]\nopen: maybe\nSLUICE_PORT: 1\nPort: 1\n? [a]\n: 1\n"])
        #expect(
            found == [
                "--what is not a known setting; see --help",
                "stray is not a known setting; see --help",
                "--what is not a known setting; see --help",
                "--host needs a value",
                "f.yaml: port must be an integer from 1 to 65535, not \"70000\"",
                "f.yaml: http is not a known setting",
                "f.yaml: level must be one value, not a list",
                "f.yaml: open must be true or false, not \"maybe\"",
                "f.yaml: SLUICE_PORT is not a known setting",
                "f.yaml: Port is not a known setting",
                "f.yaml: ? is not a known setting",
                "--port must be an integer from 1 to 65535, not \"x\"",
                "SLUICE_OPEN must be true or false, not \"yes\"",
                "--level must be one of low, high, not \"mid\"",
            ])
    }

    @Test func aFaultIsFoundBehindAFlagThatGoesBeforeIt() {
        #expect(
            faults(["--config", "f", "--port", "5"], environment: ["SLUICE_PORT": "y"], files: ["f": "port: x"]) == [
                "f: port must be an integer from 1 to 65535, not \"x\"",
                "SLUICE_PORT must be an integer from 1 to 65535, not \"y\"",
            ])
    }

    @Test(arguments: [("1", 1), ("65535", 65_535), ("007", 7), ("+7", 7)])
    func integersWithinTheirRangeAreTaken(text: String, value: Int) throws {
        #expect(try resolve(["--port=\(text)"]).integer("port") == value)
    }

    @Test(arguments: ["0", "65536", "-1", "", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "９", "99999999999999999999", "true", "1,2"])
    func otherIntegersAreRefusedFromEverySource(text: String) {
        let reason = "must be an integer from 1 to 65535, not \"\(text)\""
        #expect(faults(["--port=\(text)"]) == ["--port \(reason)"])
        #expect(faults(["--config", "f"], files: ["f": "port: '\(text)'"]) == ["f: port \(reason)"])
        if !text.isEmpty { #expect(faults([], environment: ["SLUICE_PORT": text]) == ["SLUICE_PORT \(reason)"]) }
    }

    @Test(arguments: ["LOW", "lo", "low ", "", "low,high"])
    func aChoiceIsOneOfItsWords(text: String) {
        #expect(faults(["--level=\(text)"]) == ["--level must be one of low, high, not \"\(text)\""])
    }

    @Test func helpAndVersionAreGivenWhateverElseIsWrong() throws {
        let cases: [(argument: String, action: Settings.Action)] = [("--help", .help), ("-h", .help), ("--version", .version)]
        for (argument, action) in cases {
            let (_, found) = try Settings.resolve(Self.table, arguments: [argument, "--what", "--port=x"], environment: [:]) { _ in nil }
            #expect(found == action)
        }
        // A health check of another port than the one meant would be worse than none.
        for argument in ["health", "--print-config"] { #expect(faults([argument, "--prot", "7"]).count == 2, "\(argument)") }
        #expect(try Settings.resolve(Self.table, arguments: ["health", "--port", "7"], environment: [:]) { _ in nil }.1 == .health)
    }

    // MARK: Secrets

    @Test func aSecretIsNotTakenFromTheCommandLine() {
        let reason = "--keys is a secret: give it as SLUICE_KEYS or in the file"
        #expect(faults(["--keys", "a-long-secret"]) == [reason])
        #expect(faults(["--keys=a-long-secret"]) == [reason])
        #expect(!Self.table.helpText.contains("--keys") && Self.table.helpText.contains("SLUICE_KEYS"))
    }

    @Test func aSecretIsNotPrinted() throws {
        let sources = try [
            resolve([], environment: ["SLUICE_KEYS": "a-long-secret"]),
            resolve(["--config", "f"], files: ["f": "keys: [a-long-secret, another]"]),
        ]
        for settings in sources {
            #expect(settings.list("keys").first == "a-long-secret")
            #expect(settings.printed.contains("\nkeys: (set)  # ") && !settings.printed.contains("a-long"), "\(settings.printed)")
        }
        #expect(try resolve([]).printed.contains("\nkeys:   # default\n"))
        #expect(faults(["--config", "f"], files: ["f": "keys: {a-long-secret: b}"]).allSatisfy { !$0.contains("a-long") })
    }

    /// A file that can't be read may hold secrets: its faults name places, and quote nothing.
    @Test(arguments: [
        ("port: 1\nkeys: a-long: secret\n", "line 2, column "), ("keys: \"a-long-secret\nport: 1\n", "line "),
        ("keys: a-long-secret\nport: 1\nport: 2\n", "port is given twice"), ("keys: a-long-secret\n---\nport: 2\n", "another document"),
        ("keys: *a-long-secret\n", "line 1, column "), ("keys: a-long-secret\nport: \u{7}1\n", "control characters"),
        ("\tkeys: a-long-secret", "line 1, column "),
    ])
    func aFileThatIsNotYAMLIsNotQuoted(text: String, words: String) {
        let found = faults(["--config", "f"], files: ["f": text])
        #expect(found.count == 1)
        let fault = found.first ?? ""
        #expect(fault.hasPrefix("f is not YAML: ") && fault.contains(words), "\(fault)")
        #expect(!fault.contains("a-long") && !fault.contains("\n"), "\(fault)")
    }

    // MARK: Texts of the file

    @Test(arguments: [
        "yes", "no", "on", "true", "0123", "1e3", "null", "~", "0x1F", "12:30:45", ".inf", "1.10", "2026-11-29T00:00:00Z", "=", "<<", "+7",
    ])
    func whatYAMLHasAMeaningForStaysAText(text: String) throws {
        let settings = try resolve(["--config", "f"], files: ["f": "data: \(text)\nkeys: [\(text), b]"])
        #expect(settings.text("data") == text)
        #expect(settings.list("keys") == [text, "b"])
    }

    @Test func quotesBlocksAndAnchorsAreYAMLs() throws {
        let settings = try resolve(["--config", "f"], files: ["f": "host: &h 'it''s'\r\ndata: *h\r\n"])
        #expect(settings.text("host") == "it's" && settings.text("data") == "it's")
        #expect(try resolve(["--config", "f"], files: ["f": "data: |\n  a\n  b\n"]).text("data") == "a\nb\n")
        #expect(try resolve(["--config", "f"], files: ["f": "data: \"a\\tb\""]).text("data") == "a\tb")
        #expect(try resolve(["--config", "f"], files: ["f": "{}"]).integer("port") == 1)
    }

    @Test func aListIsCutAtItsCommas() throws {
        #expect(try resolve([], environment: ["SLUICE_KEYS": " a, b ,,c "]).list("keys") == ["a", "b", "c"])
        #expect(try resolve([], environment: ["SLUICE_KEYS": ""]).list("keys").isEmpty)
        #expect(throws: InvalidDocument.self) { try resolve([], environment: ["SLUICE_KEYS": " , "]) }
        #expect(try resolve(["--config", "f"], files: ["f": "keys: []"]).list("keys").isEmpty)
    }
}
