import NIOCore
import NIOPosix

/// Delivers a notice to a channel, once. It holds nothing open: a connection, a process or a file lives as long as one delivery.
package struct NoticeSender: Sendable {
    /// What an API caller must not choose.
    package struct Settings: Sendable {
        /// Internal targets of webhooks that are allowed.
        package var targets: TargetPolicy
        /// Path of the program `sendmail` and the sender of mails; nil: channels of e-mail are off.
        package var mail: (program: String, from: MailAddress)?
        /// The directory of file channels; nil: they are off.
        package var directory: String?
        /// A PEM file of certificate authorities that are trusted besides those of the system.
        package var authorities: String?
        package var answerSeconds = NoticeLimits.answerSeconds
        package var sendmailSeconds = NoticeLimits.sendmailSeconds

        package init(
            targets: TargetPolicy, mail: (program: String, from: MailAddress)? = nil, directory: String? = nil, authorities: String? = nil
        ) {
            self.targets = targets
            self.mail = mail
            self.directory = directory
            self.authorities = authorities
        }
    }

    private let settings: Settings
    private let web: WebSender

    package init(
        _ settings: Settings, resolver: HostResolver = .system, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.settings = settings
        web = WebSender(settings, resolver: resolver, group: group)
    }

    /// - Parameters:
    ///   - content: what the notice carries besides its text.
    ///   - attempt: failed attempts before this one; it chooses among the addresses of a host.
    ///   - now: microseconds since 1970.
    package func send(
        _ notice: Notice, _ content: NoticeContent? = nil, to channel: Channel, attempt: Int = 0, now: Int64
    ) async -> DeliveryOutcome {
        switch channel.settings {
        case .webhook(let target, let secret):
            return await web.send(.webhook(notice, content, to: target, secret: secret, now: now), attempt: attempt)
        case .slack(let target):
            return await web.send(.slack(notice, to: target), attempt: attempt)
        case .alertmanager(let target, let authorization):
            return await web.send(.alertmanager(notice, to: target, authorization: authorization, now: now), attempt: attempt)
        case .email(let to):
            guard let mail = settings.mail else {
                return .refused("a setting of the coordinator must name sendmail and the sender of mails")
            }
            let message = MailMessage(notice, content, from: mail.from, to: to, now: now)
            return await MailSender.send(message, program: mail.program, seconds: settings.sendmailSeconds)
        case .file(let name):
            guard let directory = settings.directory else {
                return .refused("a setting of the coordinator must name the directory of file channels")
            }
            return await NoticeFile.append(WebMessage.webhookBody(notice, content), to: name, in: directory)
        }
    }

    /// Posts a body of another form than a notice's to a webhook, signed in the same way.
    /// - Parameters:
    ///   - key: the `Idempotency-Key`, of visible ASCII.
    ///   - attempt, now: as of a notice.
    package func post(_ body: [UInt8], key: String, to channel: Channel, attempt: Int = 0, now: Int64) async -> DeliveryOutcome {
        guard case .webhook(let target, let secret) = channel.settings else {
            return .refused("the channel \(channel.id) is no webhook")
        }
        return await web.send(.webhook(body, key: key, to: target, secret: secret, now: now), attempt: attempt)
    }
}
