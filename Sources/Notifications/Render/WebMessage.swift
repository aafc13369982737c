import FunnelModel

/// A notice as an HTTP request: `POST` of a JSON body.
package struct WebMessage: Equatable, Sendable {
    package var target: WebTarget
    /// Besides `Content-Type`, `Content-Length` and `Host`.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package static func == (a: WebMessage, b: WebMessage) -> Bool {
        a.target == b.target && a.body == b.body && a.headers.map { [$0.name, $0.value] } == b.headers.map { [$0.name, $0.value] }
    }
}

extension WebMessage {
    /// - Parameter now: of this attempt, in microseconds since 1970.
    package static func webhook(
        _ notice: Notice, _ content: NoticeContent? = nil, to target: WebTarget, secret: Secret?, now: Int64
    ) -> WebMessage {
        webhook(webhookBody(notice, content), key: notice.headerID, to: target, secret: secret, now: now)
    }

    /// - Parameters:
    ///   - key: of visible ASCII.
    ///   - now: of this attempt, in microseconds since 1970.
    package static func webhook(_ body: [UInt8], key: String, to target: WebTarget, secret: Secret?, now: Int64) -> WebMessage {
        var headers = [(name: "Idempotency-Key", value: key)]
        if let secret {
            let seconds = Timestamp.floorDivide(now, 1_000_000)
            headers.append((Signature.timeHeader, "\(seconds)"))
            headers.append((Signature.header, Signature.text(of: body, seconds: seconds, secret: secret)))
        }
        return WebMessage(target: target, headers: headers, body: body)
    }

    /// The notice as JSON, with the version of the form first. File channels have the same, one a line.
    package static func webhookBody(_ notice: Notice, _ content: NoticeContent? = nil) -> [UInt8] {
        let report = content.map { [JSONValue.Member("report", $0.report)] } ?? []
        return JSONValue.object([.init("version", .integer(1))] + (notice.json.asObject ?? []) + report).encode()
    }

    /// Text and one attachment: what Slack, Mattermost, Rocket.Chat and Discord's `/slack` endpoints all show.
    package static func slack(_ notice: Notice, to target: WebTarget) -> WebMessage {
        let title = notice.statusWord + ": " + notice.title
        var attachment: [JSONValue.Member] = [
            .init("fallback", .text(slackText(title))), .init("color", .text(notice.status.color)),
            .init("title", .text(slackText(notice.title))),
        ]
        if let link = notice.link { attachment.append(.init("title_link", .text(link))) }
        attachment += [
            .init("text", .text(slackText(notice.text))),
            .init(
                "fields",
                .array(notice.numbers.map { ["title": .text(slackText($0.name)), "value": .text($0.text), "short": true] })),
            .init("ts", .integer(Timestamp.floorDivide(notice.ends ?? notice.starts, 1_000_000))), .init("mrkdwn_in", []),
        ]
        let body: JSONValue = ["text": .text(slackText(title)), "attachments": [.object(attachment)]]
        return WebMessage(target: target, headers: [("Idempotency-Key", notice.headerID)], body: body.encode())
    }

    /// Text in which a name from an event calls nobody and makes no link: `<!channel>` is Slack's form, `@all` and `[a](b)` are
    /// Mattermost's.
    private static func slackText(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": shown += "&amp;"
            case "<": shown += "&lt;"
            case ">": shown += "&gt;"
            case "@": shown += "@\u{200B}"
            case "]": shown += "]\u{200B}"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }

    /// One alert of Alertmanager's API v2. While it fires, it ends by itself after four repeats that did not come, as alerts of
    /// Prometheus do.
    /// - Parameter now: of this attempt, in microseconds since 1970.
    package static func alertmanager(_ notice: Notice, to target: WebTarget, authorization: Secret?, now: Int64) -> WebMessage {
        let labels: JSONValue = [
            "alertname": .text(notice.rule), "project": .text("\(notice.project)"), "service": "sluice", "sluice_key": .text(notice.key),
        ]
        var annotations: [JSONValue.Member] = [.init("summary", .text(notice.title))]
        let lines = (notice.text.isEmpty ? [] : [notice.text]) + notice.numbers.map { "\($0.name): \($0.text)" }
        if !lines.isEmpty { annotations.append(.init("description", .text(lines.joined(separator: "\n")))) }
        let ends = notice.status == .resolved ? notice.ends ?? now : now + 4 * Outbox.repeatMicroseconds
        var alert: [JSONValue.Member] = [
            .init("labels", labels), .init("annotations", .object(annotations)), .init("startsAt", .text(Timestamp.format(notice.starts))),
            .init("endsAt", .text(Timestamp.format(max(ends, notice.starts)))),
        ]
        if let link = notice.link { alert.append(.init("generatorURL", .text(link))) }
        return WebMessage(
            target: target.appending("/api/v2/alerts"), headers: authorization.map { [("Authorization", $0.text)] } ?? [],
            body: JSONValue.array([.object(alert)]).encode())
    }
}

extension Notice.Status {
    var color: String {
        switch self {
        case .firing: "#d00000"
        case .resolved: "#2a7a4b"
        case .info: "#4a5568"
        }
    }
}

extension Notice {
    var statusWord: String {
        switch status {
        case .firing: "Firing"
        case .resolved: "Resolved"
        case .info: "Notice"
        }
    }

    /// The id as the value of a header: other characters than visible ASCII are percent-encoded.
    fileprivate var headerID: String {
        var text: [UInt8] = []
        for byte in id.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "%") {
                text.append(byte)
            } else {
                text.append(UInt8(ascii: "%"))
                text += Hex.digits([byte])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
