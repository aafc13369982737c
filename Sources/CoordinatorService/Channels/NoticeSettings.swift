import FunnelModel
import Glibc
import Notifications
import ServiceRuntime

/// What callers of the API must not choose: programs, directories and internal targets of channels.
package struct NoticeSettings: Sendable {
    package static let all = [
        Setting(
            "allowed-targets", .list, default: "",
            "internal targets that channels may call, over http too: addresses, ranges or host names, each with or without :PORT"),
        Setting("target-authorities", .text, default: "", "PEM file of certificate authorities that channels trust besides the system's"),
        Setting("sendmail", .text, default: "", "path of sendmail, or of msmtp, for channels of e-mail; needs --mail-from"),
        Setting("mail-from", .text, default: "", "sender of e-mails, such as sluice@example.com"),
        Setting("notice-directory", .text, default: "", "directory of the files of file channels; without it there are none"),
        Setting("public-url", .text, default: "", "URL of the dashboard in notices, such as https://sluice.example.com"),
    ]

    package let sender: NoticeSender.Settings
    /// Without a slash at its end; empty: notices have no links.
    package let publicURL: String

    package init(sender: NoticeSender.Settings, publicURL: String = "") {
        self.sender = sender
        self.publicURL = publicURL
    }

    /// Throws all faults at once.
    package init(_ settings: Settings) throws(InvalidDocument) {
        var faults: [FieldFault] = []
        var sender = NoticeSender.Settings(targets: .none)
        do throws(ChannelFault) {
            sender.targets = try TargetPolicy(allowing: settings.list("allowed-targets"))
        } catch {
            faults.append(FieldFault("--allowed-targets", error.reason))
        }
        let program = settings.text("sendmail")
        let from = settings.text("mail-from")
        if program.isEmpty != from.isEmpty {
            faults.append(
                FieldFault(program.isEmpty ? "--sendmail" : "--mail-from", "is required for e-mail: the two settings go together"))
        } else if !program.isEmpty {
            do throws(ChannelFault) {
                sender.mail = (program, try MailAddress(from))
            } catch {
                faults.append(FieldFault("--mail-from", error.reason))
            }
            if access(program, X_OK) != 0 || !program.hasPrefix("/") {
                faults.append(FieldFault("--sendmail", "\"\(program.printable)\" must be the absolute path of a program"))
            }
        }
        for (name, member) in [("notice-directory", \NoticeSender.Settings.directory), ("target-authorities", \.authorities)] {
            let path = settings.text(name)
            guard !path.isEmpty else { continue }
            if access(path, R_OK) != 0 {
                let reason = access(path, F_OK) == 0 ? "cannot be read" : "does not exist"
                faults.append(FieldFault("--" + name, "\"\(path.printable)\" \(reason)"))
            }
            sender[keyPath: member] = path
        }
        let link = settings.text("public-url")
        if !link.isEmpty, !link.hasPrefix("https://"), !link.hasPrefix("http://") {
            faults.append(FieldFault("--public-url", "must begin with https:// or http://"))
        }
        guard faults.isEmpty else { throw InvalidDocument(faults) }
        self.sender = sender
        publicURL = link.hasSuffix("/") ? String(link.dropLast()) : link
    }

    /// Throws if the settings do not allow the channel.
    func check(_ channel: Channel) throws(InvalidDocument) {
        switch channel.kind {
        case .email where sender.mail == nil:
            throw InvalidDocument([FieldFault("kind", "is email, which needs the settings --sendmail and --mail-from of the coordinator")])
        case .file where sender.directory == nil:
            throw InvalidDocument([FieldFault("kind", "is file, which needs the setting --notice-directory of the coordinator")])
        case .webhook, .slack, .alertmanager, .email, .file: break
        }
        guard let target = channel.target else { return }
        do throws(ChannelFault) {
            try sender.targets.checkWords(target)
        } catch {
            throw InvalidDocument([FieldFault("settings.url", error.reason)])
        }
    }
}
