import ArgumentParser
import EventRules
import FunnelModel
import ServiceRuntime

/// The project whose rules a command is about.
struct RuleTarget: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Number of the project, for an operator's API key. By default the project of your own API key.", valueName: "number"))
    var project: UInt32?
    @OptionGroup var target: HTTPTarget

    func call(_ method: String, _ body: [UInt8]? = nil) async throws -> [UInt8] {
        try await target.client.call(method, "/v1/rules" + (project.map { "?project=\($0)" } ?? ""), body)
    }
}

extension Rules {
    static let repeatsMayCount = "A repeat of an event that was sent before may now be another event, and count too (RULES.md section 10)."

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace the rules of a project by those of a file.",
            discussion: """
                FILE has rules, as YAML or JSON; 'rules: []' removes all. They are in force at \
                every ingest within 2 seconds, for events that come from then on. Stored events \
                stay as they are.

                A repeat of an event that was sent before may become another event under the new \
                rules: if they give it another name, or another kind of time, both count. Retries \
                of SDKs and a file that is loaded again are such repeats. RULES.md section 10 says \
                more.

                With --if-revision, or the member 'revision' of the file, the rules are replaced \
                only if they are at that revision: nobody else has changed them. 0 means that the \
                project never had rules.

                Examples:
                  sluice rules apply rules.yaml
                  sluice rules apply rules.yaml --if-revision 12
                """)
        @Argument(help: "File with rules; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"])) var file: String
        @Option(help: ArgumentHelp("Revision that the rules must be at.", valueName: "revision")) var ifRevision: UInt64?
        @OptionGroup var target: RuleTarget

        func validate() throws {
            // JSON and the member `revision` have signed numbers.
            if let ifRevision, ifRevision > UInt64(Int64.max) { throw ValidationError("--if-revision must be at most \(Int64.max)") }
        }

        func run() async throws {
            let list = try RuleFile.read(file)
            var members: [JSONValue.Member] = [.init("rules", list.json["rules"] ?? [])]
            if let replaced = ifRevision ?? list.replaces { members.append(.init("revision", .integer(Int64(clamping: replaced)))) }
            let before = try JSONParser.parse(try await target.call("GET"))
            let answer = try JSONParser.parse(try await target.call("PUT", JSONValue.object(members).encode()))
            guard let revision = answer["revision"]?.asInteger else { throw Failure("the coordinator's answer has no revision") }
            let count = list.rules.isEmpty ? "no rules" : Terminal.count(list.rules.count, "rule")
            let isNew = revision != before["revision"]?.asInteger
            Terminal.out("revision \(revision): \(count)" + (isNew ? "" : ", unchanged"))
            guard isNew else { return }
            Terminal.note(Rules.repeatsMayCount)
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the rules of a project as JSON, with their revision.",
            discussion: """
                The output is a file for 'sluice rules apply', which refuses it once the rules \
                are at another revision.

                Examples:
                  sluice rules get
                  sluice rules get --project 2 > rules.json
                """)
        @OptionGroup var target: RuleTarget

        func run() async throws {
            let answer = try await target.call("GET")
            let document = try JSONParser.parse(answer)
            guard let revision = document["revision"], let rules = document["rules"]?.asArray, !rules.isEmpty else {
                return Terminal.out(json: answer)
            }
            // A rule a line.
            var text = Array("{\"revision\":".utf8) + revision.encode() + Array(",\"rules\":[\n".utf8)
            for (i, rule) in rules.enumerated() { text += Array("  ".utf8) + rule.encode() + (i == rules.count - 1 ? [10] : [44, 10]) }
            Terminal.out(json: text + Array("]}".utf8))
        }
    }
}
