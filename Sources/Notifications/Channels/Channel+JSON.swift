import FunnelModel

extension Channel {
    /// The channel without its secrets, for readers. `secrets` names those that are set.
    package var json: JSONValue { document(secrets: false) }

    /// The channel with its secrets, for the store.
    package var stored: JSONValue { document(secrets: true) }

    private func document(secrets shown: Bool) -> JSONValue {
        var members: [JSONValue.Member] = []
        var secrets: [String] = []
        func secret(_ name: String, _ text: String?) {
            guard let text else { return }
            if shown { members.append(.init(ByteString(name), .text(text))) } else { secrets.append(name) }
        }
        switch settings {
        case .webhook(let target, let key):
            if !shown { members.append(.init("host", .text(target.host))) }
            secret("url", target.url)
            secret("secret", key?.text)
        case .slack(let target):
            if !shown { members.append(.init("host", .text(target.host))) }
            secret("url", target.url)
        case .alertmanager(let target, let authorization):
            members.append(.init("url", .text(target.url)))
            secret("authorization", authorization?.text)
        case .email(let to): members.append(.init("to", .array(to.map { .text($0.text) })))
        case .file(let name): members.append(.init("file", .text(name)))
        }
        if !secrets.isEmpty { members.append(.init("secrets", .array(secrets.map { .text($0) }))) }
        return ["id": .text(id), "kind": .text(kind.rawValue), "settings": .object(members)]
    }

    /// Reads and checks a channel.
    /// - Parameters:
    ///   - id: the id that the caller names beside the document; nil: the document has it.
    ///   - old: the saved channel that it replaces. Secrets that the document leaves out are taken from it.
    /// - Throws: `InvalidDocument` with all faults. None shows a secret.
    package static func parse(
        _ document: JSONValue, id: String? = nil, replacing old: Channel? = nil
    ) throws(InvalidDocument) -> Channel {
        var reader = FieldReader(document)
        let given = reader.string("id")?.string
        let found = given ?? id
        if let given, let id, given != id { reader.faultAt("id", "must be \(id), the id in the path") }
        if let found, !isID(found) {
            reader.faultAt("id", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
        }
        if document.asObject != nil, found == nil { reader.faultAt("id", "is required") }
        let kind: Kind? = reader.choice("kind")
        if document.asObject != nil, document["kind"] == nil {
            reader.faultAt("kind", "is required: one of \(Kind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let value = reader.value("settings")
        if document.asObject != nil, value == nil { reader.faultAt("settings", "is required") }
        // What readers get, so that a document that was read can be sent back.
        _ = reader.value("delivery")
        if document.asObject != nil { reader.rejectUnknown() }
        var settings: Settings?
        if let kind, let value {
            var channel = SettingsReader(value, old: old?.kind == kind ? old?.settings : nil)
            settings = channel.read(kind)
            reader.merge(channel.reader.faults)
        }
        guard reader.faults.isEmpty, let found, let settings else { throw InvalidDocument(reader.faults) }
        return Channel(id: found, settings: settings)
    }
}

/// Reads the member `settings` of a channel.
private struct SettingsReader {
    var reader: FieldReader
    private let value: JSONValue
    private let old: Channel.Settings?

    init(_ value: JSONValue, old: Channel.Settings?) {
        reader = FieldReader(value, path: "settings.")
        self.value = value
        self.old = old
    }

    /// The settings; nil if they have a fault.
    mutating func read(_ kind: Channel.Kind) -> Channel.Settings? {
        let settings: Channel.Settings?
        switch kind {
        case .webhook:
            let saved: (target: WebTarget, secret: Secret?)? =
                if case .webhook(let target, let secret) = old { (target, secret) } else { nil }
            let target = target(isSecret: true, saved: saved?.target)
            let secret = key("secret", saved: saved?.secret, isSameTarget: target == saved?.target)
            if let secret, !NoticeLimits.secretBytes.contains(secret.text.utf8.count) {
                let (low, high) = (NoticeLimits.secretBytes.lowerBound, NoticeLimits.secretBytes.upperBound)
                reader.faultAt("secret", "has \(secret.text.utf8.count) bytes; it must have \(low) to \(high)")
            }
            settings = target.map { .webhook($0, secret: secret) }
        case .slack:
            let saved: WebTarget? = if case .slack(let target) = old { target } else { nil }
            settings = target(isSecret: true, saved: saved).map { .slack($0) }
        case .alertmanager:
            let saved: (target: WebTarget, secret: Secret?)? =
                if case .alertmanager(let target, let secret) = old { (target, secret) } else { nil }
            let target = target(isSecret: false, saved: nil)
            if target?.path.contains("?") == true { reader.faultAt("url", "must not have a query (?)") }
            let authorization = key("authorization", saved: saved?.secret, isSameTarget: target == saved?.target)
            if let authorization, !Self.isHeaderValue(authorization.text) {
                reader.faultAt("authorization", "must have 1 to \(NoticeLimits.secretBytes.upperBound) visible ASCII characters and blanks")
            }
            settings = target.map { .alertmanager($0, authorization: authorization) }
        case .email: settings = recipients().map { .email(to: $0) }
        case .file:
            let name = reader.string("file")?.string
            if name == nil, value["file"] == nil { reader.faultAt("file", "is required") }
            if let name, !Channel.isFileName(name) {
                reader.faultAt(
                    "file",
                    "must be the name of a file, of 1 to \(NoticeLimits.fileNameBytes) letters, digits, -, _ and dots; no dot or - first")
            }
            settings = name.map { .file(name: $0) }
        }
        // What readers get, so that a document that was read can be sent back.
        _ = reader.value("secrets")
        if kind == .webhook || kind == .slack { _ = reader.value("host") }
        if value.asObject != nil { reader.rejectUnknown("member of \(kind.rawValue)") }
        return reader.faults.isEmpty ? settings : nil
    }

    private mutating func target(isSecret: Bool, saved: WebTarget?) -> WebTarget? {
        guard let text = isSecret ? secret("url") : reader.string("url")?.string else {
            if saved == nil, reader.faults.isEmpty { reader.faultAt("url", "is required") }
            return saved
        }
        do throws(ChannelFault) {
            return try WebTarget(text)
        } catch {
            reader.faultAt("url", error.reason)
            return nil
        }
    }

    /// A secret that may be left out: the saved one stays, and null removes it.
    private mutating func key(_ name: String, saved: Secret?, isSameTarget: Bool) -> Secret? {
        if let text = secret(name) { return Secret(text) }
        guard let saved, value[ByteString(name)] != .null else { return nil }
        if isSameTarget { return saved }
        // A saved secret must not go to an address that its author never chose.
        if reader.faults.isEmpty { reader.faultAt(ByteString(name), "must be given again, or be null, because the url changes") }
        return nil
    }

    /// The text of a secret. A caller must not make the service read its environment or files, as files of definitions can make the command
    /// that reads them.
    private mutating func secret(_ name: String) -> String? {
        for other in [ByteString(name + "_env"), ByteString(name + "_file")] where reader.value(other) != nil {
            reader.faultAt(other, "is only for files of definitions; send \(name)")
        }
        return reader.string(ByteString(name))?.string
    }

    private mutating func recipients() -> [MailAddress]? {
        guard let list = reader.value("to") else {
            reader.faultAt("to", "is required: a list of addresses")
            return nil
        }
        guard let values = list.asArray, (1...NoticeLimits.recipients).contains(values.count) else {
            reader.faultAt("to", "must be a list of 1 to \(NoticeLimits.recipients) addresses")
            return nil
        }
        var addresses: [MailAddress] = []
        for (i, value) in values.enumerated() {
            guard let text = value.asString?.string else {
                reader.fault("settings.to[\(i)]", "must be a string, not \(value.typeName)")
                continue
            }
            do throws(ChannelFault) {
                addresses.append(try MailAddress(text))
            } catch {
                reader.fault("settings.to[\(i)]", error.reason)
            }
        }
        return addresses
    }

    private static func isHeaderValue(_ text: String) -> Bool {
        (1...NoticeLimits.secretBytes.upperBound).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }
}
