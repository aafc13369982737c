import Foundation
import FunnelModel
import Testing

extension ClusterSuite {
    /// The commands that print a report, the options of `sluice query` that they replace, and their errors and help.
    struct ReportCommandTests {
        private static let asOf = "2024-01-01T00:00:00Z"

        /// 30 users view; 20 of them add, at once or after help; 10 buy.
        private static let events: [JSONValue] = (0..<30).flatMap { i -> [JSONValue] in
            let user = "u\(i + 10)"
            let plan: JSONValue = ["plan": .text(i % 2 == 0 ? "pro" : "free")]
            var events = [event(user, "view", 0, properties: plan)]
            if i % 3 != 0 { events.append(event(user, "help", 5)) }
            if i < 20 { events.append(event(user, "add", Double(10 + i))) }
            if i < 10 { events.append(event(user, "buy", Double(100 + i))) }
            return events
        }

        private static func withFunnel(_ body: (Cluster) async throws -> Void) async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(events).status == 200)
                let funnel: JSONValue = ["steps": ["view", "add", "buy"], "window_duration": "1h"]
                #expect(try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/shop", body: funnel.encode()).status == 201)
                try await body(cluster)
            }
        }

        /// Runs a command about the saved funnel, at a fixed instant.
        private func sluice(_ cluster: Cluster, _ command: [String], _ arguments: [String]) async throws -> Command.Result {
            try await Command.run("sluice", command + ["shop", "--as-of", Self.asOf, "--to", cluster.coordinatorWire] + arguments)
        }

        private func out(_ cluster: Cluster, _ command: [String], _ arguments: [String] = []) async throws -> String {
            let done = try await sluice(cluster, command, arguments)
            #expect(done.status == 0, "\(command) \(arguments): \(done.err)")
            return done.out
        }

        private func ask(_ cluster: Cluster, _ report: String, _ more: JSONValue) async throws -> JSONValue {
            let usual: [JSONValue.Member] = [.init("funnel_id", "shop"), .init("as_of", .text(Self.asOf))]
            let body = JSONValue.object(usual + (more.asObject ?? []))
            let answer = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/\(report)", body: body.encode())
            guard answer.status == 200 else { throw Trouble("\(report): \(answer.status) \(answer.text)") }
            return answer.json
        }

        @Test func everyReportHasACommand() async throws {
            try await Self.withFunnel { cluster in
                try await jsonIsThatOfHTTP(cluster)
                try await tables(cluster)
                try await csv(cluster)
            }
        }

        private func jsonIsThatOfHTTP(_ cluster: Cluster) async throws {
            let cases: [(command: [String], arguments: [String], report: String, body: JSONValue)] = [
                (["paths"], ["--after", "buy"], "paths", ["from": ["dropped": "buy"]]),
                (
                    ["paths"], ["--between", "1,3", "--length", "2", "--k", "1"], "paths",
                    ["from": ["between": [1, 3]], "length": 2, "k": 1]
                ),
                (["paths"], ["--between", "view, add"], "paths", ["from": ["between": ["view", "add"]]]),
                (["predict"], [], "predictors", [:]),
                (["predict"], ["--reaching", "add", "--k", "3"], "predictors", ["step": "add", "k": 3]),
                (["times"], [], "times", [:]),
                (["times"], ["--from-step", "1", "--to-step", "add", "--bins", "5"], "times", ["from": 1, "to": "add", "bins": 5]),
                (["explain"], ["--user", "u10"], "explain", ["user_id": "u10"]),
                (["users", "list"], ["--reached", "1"], "users", ["step": 1]),
                (["users", "list"], ["--dropped", "buy"], "users", ["step": "buy", "outcome": "dropped"]),
                (["users", "list"], ["--open", "2"], "users", ["step": 2, "outcome": "open"]),
                (["users", "list"], ["--converted"], "users", ["step": 3, "outcome": "converted"]),
                (
                    ["users", "list"], ["--reached", "2", "--limit", "5", "--after", "u11"], "users",
                    ["step": 2, "limit": 5, "after": "u11"]
                ),
                (
                    ["explain"], ["--user", "u10", "--start", "2023-11-15", "--time-zone", "Europe/Berlin"], "explain",
                    ["user_id": "u10", "start": "2023-11-15", "time_zone": "Europe/Berlin"]
                ),
            ]
            let description = try await HTTP.call("GET", cluster.coordinatorHTTP, "/openapi.json").json
            let separate = (description["paths"]?.asObject ?? []).map(\.key.string).filter { $0.hasPrefix("/v1/query/") }
            #expect(Set(cases.map { "/v1/query/" + $0.report }) == Set(separate), "a report without a command")
            for (command, arguments, report, body) in cases {
                let printed = try await out(cluster, command, arguments + ["--format", "json"])
                #expect(try await JSONParser.parse(Array(printed.utf8)) == ask(cluster, report, body), "\(command) \(arguments)")
            }
        }

        private func tables(_ cluster: Cluster) async throws {
            let paths = try await out(cluster, ["paths"], ["--after", "2"])
            #expect(paths.contains("10 users dropped at step 2") && paths.contains("  help\n"), "\(paths)")
            let between = try await out(cluster, ["paths"], ["--between", "view,buy"])
            #expect(between.contains("10 users went from step 1 to 3") && between.contains("help → add"), "\(between)")
            let predict = try await out(cluster, ["predict"], ["--reaching", "add"])
            #expect(predict.contains("20 of 30 users at step 1 reached step 2") && predict.contains("plan = pro"), "\(predict)")
            let times = try await out(cluster, ["times"], ["--to-step", "add"])
            #expect(times.contains("20 users went from step 1 (view) to step 2 (add), as of 2024-01-01T00:00:00Z"), "\(times)")
            #expect(times.contains("median 19.5 s, average 19.5 s, p90 27 s, p99 29 s, min 10 s, max 29 s"), "\(times)")
            #expect(times.split(separator: "\n").last?.contains("█") == true, "\(times)")
            let explain = try await out(cluster, ["explain"], ["--user", "u30"])
            #expect(explain.contains("u30: dropped, step 1 of 3"), "\(explain)")
            let list = try await sluice(cluster, ["users", "list"], ["--dropped", "3", "--limit", "3"])
            #expect(list.out == "u20\nu21\nu22\n", "\(list.out)")
            #expect(
                list.err == "3 users, as of \(Self.asOf)\nthere are more; continue with: --after u22 --as-of \(Self.asOf)\n", "\(list.err)")
        }

        private func csv(_ cluster: Cluster) async throws {
            func lines(_ command: [String], _ arguments: [String]) async throws -> [String] {
                try await out(cluster, command, arguments + ["--format", "csv"]).components(separatedBy: "\n")
            }
            let paths = try await lines(["paths"], ["--after", "2", "--length", "2", "--k", "1"])
            #expect(
                paths == [
                    "row,event,users,share", "\"event\",\"help\",7,0.7", "\"no_event\",,3,0.3", "",
                    "row,event_1,event_2,users,share,paths", "\"path\",\"help\",,7,0.7,", "\"other\",,,3,,1", "",
                ], "\(paths)")
            let predict = try await lines(["predict"], ["--reaching", "2"])
            #expect(predict[0].hasPrefix("row,event,property,kind,value,with_users,with_converted,with_conversion,without_users,"))
            #expect(predict[0].contains(",lift,lift_ci_low,lift_ci_high,direction,p_value,method,q_value"))
            #expect(predict.contains { $0.hasPrefix("\"event\",\"help\",,\"\",,") }, "\(predict)")
            #expect(predict.contains { $0.hasPrefix("\"property\",,\"plan\",\"text\",\"pro\",15,10,") }, "\(predict)")
            let times = try await lines(["times"], ["--to-step", "2", "--bins", "5"])
            #expect(times[0].hasPrefix("as_of,from,to,users,skipped,median_seconds,") && times[1].contains(",1,2,20,0,19.5,"), "\(times)")
            #expect(times[3] == "from_seconds,to_seconds,users", "\(times)")
            let list = try await lines(["users", "list"], ["--converted", "--limit", "2"])
            #expect(list == ["user_id", "\"u10\"", "\"u11\"", ""], "\(list)")
        }

        /// A list of more than one page is of one instant, and complete.
        @Test func aListIsReadPageByPage() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let users = (0..<10_005).map { "u\(100_000 + $0)" }
                #expect(try await cluster.send(users.map { event($0, "view", 0) }).status == 200)
                let list = ["users", "list", "--steps", "view", "--reached", "view", "--to", cluster.coordinatorWire]
                for (more, count) in [([], 10_005), (["--limit", "10002"], 10_002)] as [([String], Int)] {
                    let table = try await Command.run("sluice", list + more)
                    #expect(table.out.split(separator: "\n").map(String.init) == Array(users.prefix(count)), "\(table.err)")
                    #expect(table.err.contains("there are more") == (count < users.count), "\(table.err)")
                    let json = try JSONParser.parse(Array(try await Command.run("sluice", list + more + ["--format", "json"]).out.utf8))
                    #expect(json["users"]?.asArray == users.prefix(count).map { .text($0) } && json["completeness"]?["exact"] == true)
                    #expect(json["next"] == (count < users.count ? .text(users[count - 1]) : .null))
                }
            }
        }

        @Test func oldOptionsSayWhatIsNew() async throws {
            try await Self.withFunnel { cluster in
                let tail = "--as-of \(Self.asOf) --to \(cluster.coordinatorWire)"
                let cases: [(old: [String], command: String, new: [String], hint: String)] = [
                    (["--explain", "u10"], "explain", ["--user", "u10"], "explain shop \(tail) --user u10"),
                    (["--explain=it's me"], "explain", ["--user=it's me"], "explain shop \(tail) '--user=it'\\''s me'"),
                    (["--paths-after", "3"], "paths", ["--after", "3"], "paths shop \(tail) --after 3"),
                    (
                        ["--paths-after", "3", "--length", "1", "--k", "2"], "paths", ["--after", "3", "--length", "1", "--k", "2"],
                        "paths shop \(tail) --after 3 --length 1 --k 2"
                    ),
                    (["--paths-between", "1, 3"], "paths", ["--between", "1, 3"], "paths shop \(tail) --between '1, 3'"),
                    (
                        ["--predict", "buy", "--k", "1"], "predict", ["--reaching", "buy", "--k", "1"],
                        "predict shop \(tail) --reaching buy --k 1"
                    ),
                ]
                for (old, command, new, hint) in cases {
                    for format in ["table", "json"] {
                        let before = try await sluice(cluster, ["query"], old + ["--format", format])
                        let after = try await sluice(cluster, [command], new + ["--format", format])
                        #expect(before.status == 0 && before.out == after.out && after.err.isEmpty, "\(old): \(before.out)\(after.out)")
                        let option = old[0].split(separator: "=")[0]
                        #expect(before.err == "sluice query \(option) is now: sluice \(hint) --format \(format)\n", "\(before.err)")
                    }
                }
                #expect(try await sluice(cluster, ["query"], []).err.isEmpty)
            }
            let help = try await Command.run("sluice", ["query", "--help"]).out
            for option in ["--explain", "--paths-after", "--paths-between", "--length", "--predict"] {
                #expect(!help.contains(option), "\(option)")
            }
        }

        /// Errors that need no cluster: they name the option, and the usage is that of the command.
        @Test func optionsAreCheckedFirst() async throws {
            let cases: [(String, String)] = [
                ("query", "no funnel is given: name a saved funnel by its id, or give --steps, --step or --file"),
                ("query shop --window 3d --order any", "--window, --order cannot change the saved funnel \"shop\": "),
                ("query shop --k 5", "--k needs --breakdown"), ("query shop --breakdown a --k 5000", "--k must be 1 to 1,000, not 5000"),
                ("query shop --touch last", "--touch needs --breakdown or --variants"),
                ("query shop --control a", "--control needs --variants"), ("query shop --exposure first", "--exposure needs --variants"),
                ("query shop --breakdown a --trend day", "--breakdown and --trend exclude each other"),
                ("query shop --trend year", "The value 'year' is invalid for '--trend <unit>'"),
                ("query shop --clock hour", "Please provide one of 'second' and 'microsecond'"),
                ("query shop --compare previous_period --start 2026-01-01", "--compare needs --start and --end"),
                ("query shop --segment a", "--segment must be NAME=FILE, such as pro=pro.json, not \"a\""),
                ("query shop --to nowhere", "--to must be host:port, not \"nowhere\""),
                ("query --steps a,b --order flexible", "--order flexible needs a limit, such as --order flexible:1h"),
                ("query --steps a,b --order strikt", "flexible:LIMIT, such as flexible:1h, not \"strikt\"; did you mean strict?"),
                ("query shop --explain a --predict 2", "--explain and --predict exclude each other"),
                ("query shop --explain a --trend day", "--trend does not combine with --explain"),
                ("query shop --explain a --format csv", "--format csv is not available"),
                ("query shop --explain a --k 1", "--k does not combine"),
                ("query shop --length 2", "--length is an option of another report"),
                ("query shop --paths-between 1", "--paths-between must be two steps separated by a comma, such as 1,3, not \"1\""),
                ("query shop --paths-after 2 --length 9", "--length must be 1 to 5, not 9"),
                ("paths shop", "no step is given: give --after STEP, or --between STEP,STEP"),
                ("paths shop --after 2 --between 1,2", "--after and --between exclude each other"),
                ("paths shop --between 1,2,3", "--between must be two steps separated by a comma"),
                ("paths shop --after 2 --length 6", "--length must be 1 to 5, not 6"),
                ("paths shop --after 2 --k 101", "--k must be 1 to 100, not 101"),
                ("predict shop --k 0", "--k must be 1 to 1,000, not 0"), ("times shop --bins 4", "--bins must be 5 to 100, not 4"),
                ("explain shop", "Missing expected argument '--user <user>'"), ("explain shop --user u --format csv", "use table or json"),
                ("users list shop", "no users are chosen: give --reached, --dropped or --open with a step, or --converted"),
                ("users list shop --reached 1 --converted", "--reached and --converted exclude each other"),
                ("users list shop --converted --limit 0", "--limit must be at least 1, not 0"),
                ("generate --users 0", "--users must be at least 1, not 0"), ("generate --from soon", "--from must be a date"),
                ("compact . --dry-run", "--dry-run needs --drop-event-names FILE"), ("up --shards 0", "--shards must be 1 to 256, not 0"),
                ("load a.csv --format json", "--format json needs --dry-run"),
                ("funnels list --tls-ca a.pem", "Unknown option '--tls-ca'"),
            ]
            for (line, text) in cases {
                let arguments = line.split(separator: " ").map(String.init)
                let done = try await Command.run("sluice", arguments)
                #expect(done.status == 64 && done.err.contains(text), "\(line): \(done.status) \(done.err)")
                #expect(done.err.contains("See 'sluice \(arguments[0])"), "\(line): \(done.err)")
            }
        }

        @Test func aMisspeltCommandIsCorrected() async throws {
            let cases: [([String], String)] = [
                (["laod", "x.csv"], "sluice has no command 'laod'; did you mean 'load'?\nCommands: up, load, export, query, "),
                (["help", "qurey"], "sluice has no command 'qurey'; did you mean 'query'?"),
                (["users", "lst", "shop"], "sluice users has no command 'lst'; did you mean 'list'?\nCommands: list\n  See "),
                (["cluster", "restore"], "sluice cluster has no command 'restore'\nCommands: recover, fork\n"),
            ]
            for (arguments, text) in cases {
                let done = try await Command.run("sluice", arguments)
                #expect(done.status == 64 && done.out.isEmpty && done.err.hasPrefix("Error: \(text)"), "\(arguments): \(done.err)")
            }
            for arguments in [[], ["help"], ["help", "load"], ["users"], ["--version"]] {
                let done = try await Command.run("sluice", arguments)
                #expect(done.status == 0 && !done.out.isEmpty, "\(arguments): \(done.err)")
            }
        }

        /// A step that nobody reached because no event has its name.
        @Test func misspeltNamesAreWarnedOf() async throws {
            try await Self.withFunnel { cluster in
                func err(_ command: [String], _ steps: String, _ more: [String] = []) async throws -> String {
                    let done = try await Command.run(
                        "sluice", command + ["--steps", steps, "--as-of", Self.asOf, "--to", cluster.coordinatorWire] + more)
                    #expect(done.status == 0, "\(command): \(done.err)")
                    return done.err
                }
                let meant = "Warning: no event is named \"veiw\" (step 1); did you mean \"view\"?\n"
                for format in ["table", "json", "csv"] { #expect(try await err(["query"], "veiw,add", ["--format", format]) == meant) }
                #expect(try await err(["times"], "veiw,add") == meant)
                #expect(try await err(["predict"], "veiw,add") == meant)
                #expect(try await err(["paths", "--between", "1,2"], "veiw,add") == meant)
                let list = try await err(["users", "list", "--converted"], "veiw,add")
                #expect(list == "0 users, as of \(Self.asOf)\n\(meant)")
                let explained = try await err(["explain", "--user", "u10"], "view,Add-")
                #expect(explained == "Warning: no event is named \"Add-\" (step 2); did you mean \"add\"?\n", "\(explained)")
                let far = try await err(["query"], "view,signup,add")
                let frequent = "the most frequent ones are view, add, help, buy\n"
                #expect(far == "Warning: no event is named \"signup\" (step 2); \(frequent)", "\(far)")
                // A name that exists is not warned of. Step 2 is often empty because its events are in the same second.
                let none = try await err(["query"], "buy,view")
                #expect(none.hasPrefix("Note: no user reached step 2. An event in the same second"), "\(none)")
                #expect(try await err(["query", "--clock", "microsecond"], "buy,view").isEmpty)
            }
        }

        /// Another port than the command needs is named as what it is.
        @Test func anotherKindOfPortIsNamed() async throws {
            try await Self.withFunnel { cluster in
                let file = cluster.directory.appendingPathComponent("events.ndjson")
                try Data(event("u", "a", 0).encode() + [10]).write(to: file)
                let wire = "--to must be the wire port of the coordinator, by default 127.0.0.1:8091"
                let ingest = "--to must be the wire port of ingest, by default 127.0.0.1:8081"
                let http = "--to must be the HTTP port of the coordinator, by default 127.0.0.1:8090"
                let cases: [([String], String, String)] = [
                    (["query", "shop"], cluster.coordinatorHTTP, "looks like an HTTP port: \(wire)"),
                    (["query", "shop"], cluster.ingestWire, "does not take this call: \(wire)"),
                    (["load", file.path], cluster.ingestHTTP, "loaded: \(cluster.ingestHTTP) looks like an HTTP port: \(ingest)"),
                    (["load", file.path], cluster.coordinatorWire, "does not take this call: \(ingest)"),
                    (["funnels", "list"], cluster.coordinatorWire, "looks like a wire port: \(http)"),
                    (["funnels", "list"], cluster.ingestHTTP, "no such path; \(http)"),
                ]
                for (command, address, text) in cases {
                    let done = try await Command.run("sluice", command + ["--to", address])
                    #expect(done.status == 1 && done.err.contains(text), "\(command): \(done.err)")
                }
            }
        }

        /// Errors of the coordinator name the option, not the field of the request.
        @Test func rejectionsNameTheOption() async throws {
            try await Self.withFunnel { cluster in
                let file = cluster.directory.appendingPathComponent("segment.json")
                try Data(#"{"where": [{"property": "plan", "op": "is", "value": 1}]}"#.utf8).write(to: file)
                let cases: [([String], [String], String)] = [
                    (["query"], ["--start", "soon"], "  --start: must be YYYY-MM-DD"),
                    (["query"], ["--breakdown", "a", "--touch", "x"], "  --touch: "),
                    (["query"], ["--segment", "s=\(file.path)"], "  --segment (segments[0].where[0].op): "),
                    (["query"], ["--count-by", "carts"], "  --count-by: "), (["paths"], ["--after", "7"], "  --after: is not a step"),
                    (["paths"], ["--between", "3,1"], "  --between: "), (["predict"], ["--reaching", "1"], "  --reaching: "),
                    (["times"], ["--from-step", "3", "--to-step", "2"], "  --to-step: "),
                    (["users", "list"], ["--dropped", "1"], "  --dropped: nobody can drop before step 1"),
                ]
                for (command, arguments, text) in cases {
                    let done = try await sluice(cluster, command, arguments)
                    #expect(
                        done.status == 1 && done.err.contains("the coordinator rejects the query:\n\(text)"), "\(arguments): \(done.err)")
                }
                for (arguments, text) in [
                    (["--steps", "a", "--window", "soon"], "  --window: "), (["--steps", "a", "--order", "flexible:soon"], "  --order ("),
                    (["--steps", "a,b", "--order", "any", "--anchor", "previous_step"], "  --anchor: "),
                ] {
                    let done = try await Command.run("sluice", ["query", "--to", cluster.coordinatorWire] + arguments)
                    #expect(done.status == 1 && done.err.contains(text), "\(arguments): \(done.err)")
                }
                let unknown = try await Command.run("sluice", ["times", "none", "--to", cluster.coordinatorWire])
                #expect(
                    unknown.err == "Error: no funnel is saved as \"none\"; sluice funnels list shows the saved ones\n", "\(unknown.err)")
            }
        }

        @Test func everyCommandHasHelpAndCompletions() async throws {
            let commands = [
                "up", "load", "query", "paths", "predict", "times", "explain", "users", "users list", "funnels", "funnels list",
                "funnels get",
                "funnels apply", "funnels delete", "generate", "verify", "compact",
            ]
            for command in commands {
                let words = command.split(separator: " ").map(String.init)
                let help = try await Command.run("sluice", words + ["--help"])
                let overview = help.out.components(separatedBy: "USAGE:")[0]
                #expect(
                    help.status == 0 && overview.contains("Example") && overview.contains("  sluice \(command)"), "\(command): \(help.out)")
                // No example is too long for a line.
                let examples = overview.components(separatedBy: "\n\n").filter { $0.hasPrefix("Example") }
                #expect(
                    examples.joined(separator: "\n").components(separatedBy: "\n").allSatisfy {
                        $0.hasPrefix("  ") || $0.hasPrefix("Example")
                    },
                    "\(command): \(overview)")
            }
            // The options of the command come before those that all reports have.
            for command in ["query", "paths", "predict", "times", "explain", "users list"] {
                let help = try await Command.run("sluice", command.split(separator: " ").map(String.init) + ["--help"]).out
                let sections = help.matches(of: #/(?m)^([A-Z ]+):$/#).map { String($0.1) }
                let own = command == "users list" ? "USERS" : "REPORT"
                #expect(sections == [own, "FUNNEL", "RANGE", "ANSWER AND CONNECTION", "OPTIONS"], "\(command): \(sections)")
            }
            for shell in ["bash", "zsh", "fish"] {
                let script = try await Command.run("sluice", ["--generate-completion-script", shell])
                #expect(script.status == 0 && script.out.contains("users") && script.out.contains("between"), "\(shell): \(script.err)")
                #expect(!script.out.contains("paths-after"), "\(shell)")
            }
        }
    }
}
