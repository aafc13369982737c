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

    /// Whether a text can be the id of a channel: lower-case letters, digits, `-` and `_`, the first a letter or a digit.
    package static func isID(_ text: String) -> Bool {
        (1...NoticeLimits.channelIDBytes).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasPrefix("_")
            && text.utf8.allSatisfy { byte in
                (97...122).contains(byte) || (48...57).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
    }

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

/// Where the text of a secret comes from.
package enum SecretForms: Sendable {
    /// Only from the document, as over HTTP: a caller must not make the service read its environment or files.
    case text
    /// Also `NAME_env` and `NAME_file`, as in a file that a program of the caller reads. Both return nil if there is no such variable or
    /// file.
    case lookUp(environment: @Sendable (String) -> String?, file: @Sendable (String) -> String?)
}
