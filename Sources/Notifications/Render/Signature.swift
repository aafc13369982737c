import Crypto
import FunnelModel

/// The signature of a webhook's body: HMAC-SHA256 over the time in seconds, a dot and the body (`Protocol/CHANNELS.md` section 4).
package enum Signature {
    package static let timeHeader = "X-Sluice-Timestamp"
    package static let header = "X-Sluice-Signature"

    /// - Returns: `v1=` and 64 hexadecimal digits.
    package static func text(of body: [UInt8], seconds: Int64, secret: Secret) -> String {
        let key = SymmetricKey(data: Array(secret.text.utf8))
        return "v1=" + Hex.text(HMAC<SHA256>.authenticationCode(for: Array("\(seconds).".utf8) + body, using: key))
    }
}
