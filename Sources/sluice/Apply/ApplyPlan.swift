import FunnelAlerts
import FunnelModel
import Notifications

/// What a run of `sluice apply` changes.
struct ApplyPlan {
    enum Action {
        case create, change
        /// Everything visible is equal; the document is sent for its secrets, which only the coordinator can compare.
        case compareSecrets
        case delete
    }

    struct Step {
        var action: Action
        var name: DocumentName
        var kind: DocumentKind
        /// Of the file; nil for a deletion.
        var place: String?
        /// What is sent.
        var body: JSONValue?
        var before: JSONValue?
        var after: JSONValue?
        /// Headers with what the change needs to find.
        var condition: [String: String]
    }

    /// In the order in which they are done.
    private(set) var steps: [Step] = []
    private(set) var unchanged = 0
    /// What earlier runs created, still exists, and is in no file. Without `--prune` it stays.
    private(set) var left: Set<DocumentName> = []
    /// What earlier runs created, and somebody deleted.
    private(set) var gone: Set<DocumentName> = []

    var creates: Set<DocumentName> { Set(steps.filter { $0.action == .create }.map(\.name)) }
    /// Whether a step changes something for certain.
    var hasChanges: Bool { steps.contains { $0.action != .compareSecrets } }

    /// Asks the coordinator for all documents concerned, and compares. What is wrong with references is added to the faults of the folder.
    init(_ folder: inout DefinitionFolder, _ set: AppliedSet, prune: Bool, _ client: HTTPClient) async throws {
        var deletions: [Step] = []
        for name in set.documents.subtracting(folder.definitions.map(\.name)).sorted() {
            guard let kind = DocumentKind(rawValue: name.kind) else {
                left.insert(name)
                continue
            }
            guard let saved = try await Saved(kind, name.id, client), !saved.isEmptyList else {
                gone.insert(name)
                continue
            }
            guard prune else {
                left.insert(name)
                continue
            }
            let body: JSONValue? = kind == .rules ? ["rules": []] : nil
            let step = Step(
                action: .delete, name: name, kind: kind, place: nil, body: body, before: saved.shown, after: nil, condition: saved.condition
            )
            deletions.append(step)
        }
        for kind in DocumentKind.allCases {
            for definition in folder.definitions where definition.kind == kind { try await add(definition, client) }
        }
        try await checkReferences(&folder, without: Set(deletions.map(\.name)), client)
        let order = Dictionary(DocumentKind.allCases.enumerated().map { ($1, $0) }) { $1 }
        steps += deletions.sorted { (order[$0.kind] ?? 0, $0.name) > (order[$1.kind] ?? 0, $1.name) }
    }

    /// A document as the coordinator has it.
    private struct Saved {
        var document: JSONValue
        var shown: JSONValue
        var condition: [String: String]

        /// Nil if there is none.
        init?(_ kind: DocumentKind, _ id: String, _ client: HTTPClient) async throws {
            guard let (body, tag) = try await client.find(kind.path(id)) else { return nil }
            document = try JSONParser.parse(body)
            shown = Definition.shown(kind, saved: document)
            // Rules always exist: a project without any has an empty list, which has no tag if it never had one.
            if kind == .rules, document["rules"]?.asArray?.isEmpty != false, tag == nil { return nil }
            guard let tag else { throw Failure("\(client.address): \(kind.path(id)) came without an ETag; does a proxy remove it?") }
            condition = ["If-Match": tag]
        }

        var isEmptyList: Bool { document["rules"]?.asArray?.isEmpty == true }
    }

    private mutating func add(_ definition: Definition, _ client: HTTPClient) async throws {
        var definition = definition
        let saved = try await Saved(definition.kind, definition.id, client)
        if let saved { definition.keep(saved.document) }
        let isNew = saved.map { definition.kind == .rules && $0.isEmptyList } ?? true
        let before = saved?.shown ?? (definition.kind == .rules ? ["rules": []] : nil)
        let action: Action
        if before == definition.shown {
            guard definition.hasSecrets else {
                unchanged += 1
                return
            }
            action = .compareSecrets
        } else {
            action = isNew ? .create : .change
        }
        steps.append(
            Step(
                action: action, name: definition.name, kind: definition.kind, place: definition.place, body: definition.body,
                before: isNew ? nil : before, after: definition.shown, condition: saved?.condition ?? ["If-None-Match": "*"]))
    }

    /// Alert rules name funnels, steps and channels, and reports and cohorts name funnels and channels. The coordinator would refuse a
    /// wrong one, but only after others are saved.
    private func checkReferences(_ folder: inout DefinitionFolder, without deleted: Set<DocumentName>, _ client: HTTPClient) async throws {
        let referring = folder.definitions.filter { [.alert, .report, .cohort].contains($0.kind) }
        guard !referring.isEmpty else { return }
        let channels = try await Self.channelTypes(folder, without: deleted, client)
        var funnels: [String: FunnelDefinition] = [:]
        for definition in folder.definitions where definition.kind == .funnel {
            funnels[definition.id] = try? FunnelDefinition.parse(definition.shown)
        }
        for definition in referring {
            guard let id = definition.shown["funnel_id"]?.asString?.string else { continue }
            if funnels[id] == nil, !deleted.contains(DocumentName(kind: DocumentKind.funnel.rawValue, id: id)),
                let saved = try await Saved(.funnel, id, client)
            {
                funnels[id] = try? FunnelDefinition.parse(saved.document)
                // Another release saved what this one cannot read; the coordinator checks the document.
                if funnels[id] == nil { continue }
            }
            folder.add(try await Self.faults(of: definition, funnels[id], id, channels, client), to: definition)
        }
    }

    /// What kind of channel each id is, once the files are applied.
    private static func channelTypes(
        _ folder: DefinitionFolder, without deleted: Set<DocumentName>, _ client: HTTPClient
    ) async throws -> [String: String] {
        var types: [String: String] = [:]
        for saved in try JSONParser.parse(try await client.call("GET", "/v1/channels"))["channels"]?.asArray ?? [] {
            guard let id = saved["id"]?.asString?.string, !deleted.contains(Self.channel(id)) else { continue }
            types[id] = saved["kind"]?.asString?.string ?? ""
        }
        for definition in folder.definitions where definition.kind == .channel {
            types[definition.id] = definition.shown["type"]?.asString?.string ?? ""
        }
        return types
    }

    /// What is wrong with the references of a document.
    private static func faults(
        of definition: Definition, _ funnel: FunnelDefinition?, _ id: String, _ channels: [String: String], _ client: HTTPClient
    ) async throws -> [String] {
        if definition.kind == .alert {
            guard let rule = try? AlertRule.parse(definition.body) else { return [] }
            do throws(AlertPlan.Invalid) {
                _ = try AlertPlan(rule, funnel: funnel, channels: Set(channels.keys.map { ByteString($0) }))
                return []
            } catch {
                return ["it \(error.reason)"]
            }
        }
        var faults: [String] = []
        var named: [String] = []
        if let report = try? ScheduledReport.parse(definition.body), definition.kind == .report {
            named = report.channels
            faults = try await Self.faults(of: report.query(ofDay: Int64(report.days) + 1), at: "/v1/query", funnel, id, client)
        } else if let cohort = try? SyncedCohort.parse(definition.body), definition.kind == .cohort {
            named = [cohort.channel]
            faults = try await Self.faults(of: cohort.query(ofDay: Int64(cohort.days) + 1), at: "/v1/query/users", funnel, id, client)
        }
        for channel in named {
            switch channels[channel] {
            case nil: faults.append("it names the channel \(channel), which does not exist")
            case let type? where definition.kind == .cohort && type != Channel.Kind.webhook.rawValue:
                faults.append("it names the channel \(channel) of the type \(type); it must be a webhook")
            case .some: break
            }
        }
        return faults
    }

    /// Lets the coordinator check a question: it is asked about a time without events.
    private static func faults(
        of question: JSONValue, at path: String, _ funnel: FunnelDefinition?, _ id: String, _ client: HTTPClient
    ) async throws -> [String] {
        guard let funnel else { return ["it names the funnel \(id), which does not exist"] }
        let inline = (funnel.json.asObject ?? []).filter { $0.key != "funnel_id" && $0.key != "default" }
        let query = (question.asObject ?? []).map {
            $0.key == "funnel_id" ? JSONValue.Member("funnel", .object(inline)) : $0
        }
        do {
            _ = try await client.call("POST", path, JSONValue.object(query).encode())
            return []
        } catch let failure as Failure where failure.status == 422 {
            // The first line sums up the others.
            let lines = failure.description.split(separator: "\n").map { $0.trimmingPrefix("  ") }
            return (lines.count > 1 ? lines.dropFirst() : lines[...]).map { String($0) }
        }
    }

    private static func channel(_ id: String) -> DocumentName { DocumentName(kind: DocumentKind.channel.rawValue, id: id) }
}
