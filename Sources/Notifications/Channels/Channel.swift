import FunnelModel

/// Where notices go.
package struct Channel: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable { case webhook, slack, alertmanager, email, file }

    package enum Settings: Equatable, Sendable {
        /// - Parameter secret: signs the body; nil: it is not signed.
        case webhook(WebTarget, secret: Secret?)
        /// The URL is a secret.
        case slack(WebTarget)
        /// - Parameters:
        ///   - WebTarget: what comes before `/api/v2/alerts`.
        ///   - authorization: the value of the header `Authorization`.
        case alertmanager(WebTarget, authorization: Secret?)
        case email(to: [MailAddress])
        /// A file of the directory that the operator chose.
        case file(name: String)
    }

    package var id: String
    package var settings: Settings

    /// What is called; nil for e-mail and files.
    package var target: WebTarget? {
        switch settings {
        case .webhook(let target, _), .slack(let target), .alertmanager(let target, _): target
        case .email, .file: nil
        }
    }

    package init(id: String, settings: Settings) {
        self.id = id
        self.settings = settings
    }

    package var kind: Kind {
        switch settings {
        case .webhook: .webhook
        case .slack: .slack
        case .alertmanager: .alertmanager
        case .email: .email
        case .file: .file
        }
    }

    /// Whether a notice that fires is sent again and again until it is resolved.
    package var repeatsWhileFiring: Bool { kind == .alertmanager }

    /// Whether a text can be the id of a channel: what a funnel's can be.
    package static func isID(_ text: String) -> Bool { FunnelDefinition.isValidID(ByteString(text)) }

    /// Whether a text can be the name of a file channel's file: no path, no hidden file, no option of a program.
    static func isFileName(_ text: String) -> Bool {
        (1...NoticeLimits.fileNameBytes).contains(text.utf8.count) && !text.hasPrefix(".") && !text.hasPrefix("-")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
                }
            }
    }
}

/// A secret of a channel, which no description shows.
package struct Secret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    package let text: String

    package var description: String { "(secret)" }
    package var debugDescription: String { "(secret)" }

    package init(_ text: String) { self.text = text }
}
