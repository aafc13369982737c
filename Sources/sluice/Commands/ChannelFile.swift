import Foundation
import FunnelModel
import ServiceRuntime

/// A file with a channel.
enum ChannelFile {
    private static let secrets = ["secret", "url", "authorization"]

    /// The document with the secrets that it names: `NAME_env` and `NAME_file` become `NAME`. Throws a fault for each that is not there.
    static func withSecrets(_ document: JSONValue) throws(InvalidDocument) -> JSONValue {
        guard let settings = document["settings"]?.asObject else { return document }
        var faults: [FieldFault] = []
        let read = settings.map { member -> JSONValue.Member in
            let key = member.key.string
            for name in secrets {
                guard key == name + "_env" || key == name + "_file" else { continue }
                let place = member.value.asString?.string ?? ""
                let (secret, fault) = key.hasSuffix("_env") ? variable(place) : file(place)
                if let fault { faults.append(FieldFault("settings.\(key)", fault)) }
                return .init(ByteString(name), .text(secret))
            }
            return member
        }
        guard faults.isEmpty else { throw InvalidDocument(faults) }
        return .object((document.asObject ?? []).map { $0.key == "settings" ? .init("settings", .object(read)) : $0 })
    }

    private static func variable(_ name: String) -> (secret: String, fault: String?) {
        guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else {
            return ("", "names the variable \(name), which is not set")
        }
        return (value, nil)
    }

    private static func file(_ path: String) -> (secret: String, fault: String?) {
        guard let bytes = DurableFile.read(path), !bytes.isEmpty else {
            return ("", "names the file \(path), which cannot be read or is empty")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        // Editors end a file with a line end that is no part of the secret.
        return (text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text, nil)
    }
}
