import EventRules
import FunnelAlerts
import FunnelModel
import Notifications

/// One document of a file, checked.
struct Definition {
    let kind: DocumentKind
    let id: String
    /// File and line.
    let place: String
    /// What is sent; it can have secrets.
    var body: JSONValue
    /// What people see and what is compared: every default written out, without secrets.
    var shown: JSONValue

    var name: DocumentName { DocumentName(kind: kind.rawValue, id: id) }

    /// The id of the rules: a project has one list.
    static let rulesID = "rules"

    /// Reads and checks a document. Throws `InvalidDocument` with all faults.
    init(_ document: JSONValue, place: String) throws(InvalidDocument) {
        var reader = FieldReader(document)
        let kind: DocumentKind? = reader.choice("kind")
        if document.asObject != nil, document["kind"] == nil {
            let kinds = DocumentKind.allCases.map(\.rawValue).joined(separator: ", ")
            reader.faultAt("kind", "is required: one of \(kinds)")
        }
        let id = reader.string("id")
        if let id, !FunnelDefinition.isValidID(id) { reader.faultAt("id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}") }
        if document.asObject != nil, document["id"] == nil { reader.faultAt("id", "is required") }
        guard reader.faults.isEmpty, let kind, let id else { throw InvalidDocument(reader.faults) }
        let members = (document.asObject ?? []).filter { $0.key != "kind" && $0.key != "id" }
        self.kind = kind
        self.id = id.string
        self.place = place
        switch kind {
        case .channel: (body, shown) = try Self.channel(members, self.id)
        case .funnel: (body, shown) = try Self.funnel(members, id)
        case .rules: (body, shown) = try Self.rules(members, self.id)
        case .alert:
            body = .object([.init("id", .string(id))] + members)
            shown = Self.plain(try AlertRule.parse(body).json)
        case .report:
            body = .object([.init("id", .string(id))] + members)
            shown = Self.plain(try ScheduledReport.parse(body).json)
        case .cohort:
            body = .object([.init("id", .string(id))] + members)
            shown = Self.plain(try SyncedCohort.parse(body).json)
        }
    }

    private static func funnel(_ members: [JSONValue.Member], _ id: ByteString) throws(InvalidDocument) -> (JSONValue, JSONValue) {
        var definition = try FunnelDefinition.parse(.object(members))
        if let own = definition.id, own != id {
            throw InvalidDocument([FieldFault("funnel_id", "is \"\(own.string)\", and id is \"\(id.string)\": leave funnel_id out")])
        }
        definition.id = id
        return (.object(members), plain(definition.json))
    }

    private static func rules(_ members: [JSONValue.Member], _ id: String) throws(InvalidDocument) -> (JSONValue, JSONValue) {
        guard id == rulesID else { throw InvalidDocument([FieldFault("id", "must be \(rulesID): a project has one list of rules")]) }
        let list = try RuleList.parse(.object(members))
        guard list.replaces == nil else {
            throw InvalidDocument([FieldFault("revision", "is not for files of 'sluice apply', which changes rules more than once")])
        }
        return (list.json, plain(list.json))
    }

    private static func channel(_ members: [JSONValue.Member], _ id: String) throws(InvalidDocument) -> (JSONValue, JSONValue) {
        let type = members.last { $0.key == "type" }?.value
        let kinds = Channel.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let type else { throw InvalidDocument([FieldFault("type", "is required: one of \(kinds)")]) }
        let rest = members.filter { $0.key != "type" }
        let document = JSONValue.object([.init("id", .text(id)), .init("kind", type)] + rest)
        // What a file leaves out is removed. Over HTTP a secret that is left out stays.
        let body = withoutOtherSecrets(try ChannelFile.withSecrets(document), type)
        do throws(InvalidDocument) {
            return (body, plain(typed(try Channel.parse(body, id: id).json)))
        } catch {
            throw InvalidDocument(error.faults.map { FieldFault($0.field == "kind" ? "type" : $0.field, $0.reason) })
        }
    }

    private static func withoutOtherSecrets(_ document: JSONValue, _ type: JSONValue) -> JSONValue {
        let name: ByteString
        switch type.asString.flatMap({ Channel.Kind(rawValue: $0.string) }) {
        case .webhook: name = "secret"
        case .alertmanager: name = "authorization"
        case .slack, .email, .file, nil: return document
        }
        guard let settings = document["settings"]?.asObject, !settings.contains(where: { $0.key == name }) else { return document }
        return .object(
            (document.asObject ?? []).map {
                $0.key == "settings" ? .init("settings", .object(settings + [.init(name, .null)])) : $0
            })
    }

    /// A channel with the member `type` in place of `kind`, which is the kind of the document in files.
    private static func typed(_ channel: JSONValue) -> JSONValue {
        .object((channel.asObject ?? []).filter { $0.key != "delivery" }.map { $0.key == "kind" ? .init("type", $0.value) : $0 })
    }

    /// As it comes back from JSON text, so that equal numbers are equal.
    private static func plain(_ value: JSONValue) -> JSONValue { (try? JSONParser.parse(value.encode())) ?? value }

    // MARK: - Saved ones

    /// What people see of a saved document, in the form of `shown`. One that this release cannot read is shown as it came.
    static func shown(_ kind: DocumentKind, saved: JSONValue) -> JSONValue {
        switch kind {
        case .channel: return typed(saved)
        case .funnel: return (try? FunnelDefinition.parse(saved)).map { plain($0.json) } ?? saved
        case .rules: return ["rules": saved["rules"] ?? []]
        case .alert:
            let rule = withoutState(saved)
            return (try? AlertRule.parse(rule)).map { plain($0.json) } ?? rule
        case .report:
            let report = withoutState(saved)
            return (try? ScheduledReport.parse(report)).map { plain($0.json) } ?? report
        case .cohort:
            let cohort = withoutState(saved)
            return (try? SyncedCohort.parse(cohort)).map { plain($0.json) } ?? cohort
        }
    }

    private static func withoutState(_ saved: JSONValue) -> JSONValue {
        .object((saved.asObject ?? []).filter { $0.key != "state" })
    }

    /// Whether the document has what the coordinator does not show, so that only it can compare.
    var hasSecrets: Bool { kind == .channel && shown["settings"]?["secrets"] != nil }

    /// Takes over what people change between two runs, unless the file says otherwise: the time until which a rule is muted.
    mutating func keep(_ saved: JSONValue) {
        guard kind == .alert, body["mute_until"] == nil, let until = saved["mute_until"] else { return }
        let muted = JSONValue.object((body.asObject ?? []) + [.init("mute_until", until)])
        guard let rule = try? AlertRule.parse(muted) else { return }
        (body, shown) = (muted, Self.plain(rule.json))
    }
}
