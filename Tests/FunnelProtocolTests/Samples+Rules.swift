import FunnelModel
import FunnelProtocol

/// The normalisation rules of all projects, and how they are asked for.
extension Samples {
    static let ruleLists: [Sample] = [
        Sample(
            name: "asked", kind: .ruleListRequest, context: asked,
            message: .ruleListRequest(RuleListRequest(known: 0x01_0203_0405, waitMilliseconds: 5_000))),
        Sample(name: "unchanged", kind: .ruleList, message: .ruleList(RuleListMessage(version: 0x01_0203_0405, projects: nil))),
        Sample(name: "no rules", kind: .ruleList, message: .ruleList(RuleListMessage(version: 2, projects: []))),
        Sample(
            name: "two projects", kind: .ruleList,
            message: .ruleList(
                RuleListMessage(
                    version: 3,
                    projects: [
                        ProjectRules(project: 1, revision: 1, document: #"{"rules":[{"drop_properties":["password"]}]}"#),
                        // What a later release may send.
                        ProjectRules(project: .max, revision: .max, document: #"{"later":"é"}"#),
                    ]))),
    ]

    private static let head: [UInt8] = [5, 0, 0, 0, 0, 0, 0, 0, 1]

    private static func rules(project: UInt8 = 1, revision: UInt8 = 1, _ rest: [UInt8] = [1, 97]) -> [UInt8] {
        [project, 0, 0, 0, revision, 0, 0, 0, 0, 0, 0, 0] + rest
    }

    static let ruleListRejects: [(name: String, kind: FrameKind, body: [UInt8])] = [
        ("rule list request: cut short", .ruleListRequest, [UInt8](repeating: 0, count: 11)),
        ("rule list request: bytes after it", .ruleListRequest, [UInt8](repeating: 0, count: 13)),
        ("rule list: version 0", .ruleList, [UInt8](repeating: 0, count: 9)),
        ("rule list: changed is neither 0 nor 1", .ruleList, [5, 0, 0, 0, 0, 0, 0, 0, 2]),
        ("rule list: unchanged, and a list", .ruleList, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("rule list: more projects than bytes", .ruleList, head + [2] + rules().dropLast(13)),
        ("rule list: project 0", .ruleList, head + [1] + rules(project: 0)),
        ("rule list: revision 0", .ruleList, head + [1] + rules(revision: 0)),
        ("rule list: a project twice", .ruleList, head + [2] + rules() + rules()),
        ("rule list: projects that do not ascend", .ruleList, head + [2] + rules(project: 2) + rules()),
        ("rule list: rules over the limit", .ruleList, head + [1] + rules([0x81, 0x80, 0x10])),
        ("rule list: cut short", .ruleList, head + [1] + rules([2, 97])),
        ("rule list: bytes after it", .ruleList, head + [1] + rules() + [0]),
    ]
}

extension RuleListRequest {
    var meaning: JSONValue { ["known": number(known), "wait_ms": number(waitMilliseconds)] }

    init(meaning m: JSONValue) throws { self.init(known: try m.int("known"), waitMilliseconds: try m.int("wait_ms")) }
}

extension RuleListMessage {
    var meaning: JSONValue {
        let list = projects?.map { rules -> JSONValue in
            ["project": number(rules.project), "revision": number(rules.revision), "rules": .string(rules.document)]
        }
        return ["version": number(version), "projects": list.map { .array($0) } ?? .null]
    }

    init(meaning m: JSONValue) throws {
        let projects = try m["projects"]?.asArray?.map { rules in
            ProjectRules(project: try rules.int("project"), revision: try rules.int("revision"), document: try rules.text("rules"))
        }
        self.init(version: try m.int("version"), projects: projects)
    }
}
