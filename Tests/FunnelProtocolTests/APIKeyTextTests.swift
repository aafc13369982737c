import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

/// The text of created API keys.
struct APIKeyTextTests {
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    @Test func drawnKeysAreReadAgain() {
        var random = SystemRandomNumberGenerator()
        var ids: Set<String> = []
        for role in KeyRole.allCases {
            for _ in 0..<500 {
                let drawn = APIKeyText(drawing: role, from: &random)
                #expect(APIKeyText(drawn.text) == drawn && drawn.role == role)
                let parts = drawn.text.split(separator: "_")
                #expect(parts.count == 4 && parts[0] == "sk" && parts[1] == role.name && parts[2] == drawn.id)
                #expect(drawn.id.count == APIKeyText.idLength && parts[3].count == 49)
                #expect(CreatedKey.isID(ByteString(drawn.id)))
                ids.insert(drawn.id)
            }
        }
        #expect(ids.count == 1_500)
    }

    @Test func everyCharacterOfASecretIsDrawn() {
        var random = SplitMix64(seed: 7)
        var seen: [Set<Character>] = Array(repeating: [], count: 43)
        for _ in 0..<2_000 {
            let secret = APIKeyText(drawing: .write, from: &random).text.suffix(49).prefix(43)
            for (place, character) in secret.enumerated() { seen[place].insert(character) }
        }
        for place in seen { #expect(place == Set(Self.digits)) }
    }

    /// The example of PROTOCOL.md, whose checksum was computed by another program.
    @Test func theExampleOfThePageIsAKey() throws {
        let body = "sk_write_0123456789_" + String(repeating: "A", count: 43)
        let key = try #require(APIKeyText(body + "0tmuFM"))
        #expect(key.role == .write && key.id == "0123456789")
        #expect(String(decoding: try Repository.bytes("Protocol/PROTOCOL.md"), as: UTF8.self).contains(body + "0tmuFM"))
        for other in ["0tmuFN", "1tmuFM", "0tmufM", "00000"] { #expect(APIKeyText(body + other) == nil) }
    }

    @Test func noChangedCharacterPasses() {
        var random = SplitMix64(seed: 1)
        let text = Array(APIKeyText(drawing: .read, from: &random).text)
        for place in text.indices {
            for character in Self.digits + ["_", "-", " ", "é"] where character != text[place] {
                var changed = text
                changed[place] = character
                #expect(APIKeyText(String(changed)) == nil, "\(character) at \(place)")
            }
            #expect(APIKeyText(String(text[..<place])) == nil)
            #expect(APIKeyText(String(text[place...])) == nil || place == 0)
        }
    }

    @Test func otherTextsAreNone() {
        var random = SplitMix64(seed: 2)
        let text = APIKeyText(drawing: .admin, from: &random).text
        for other in [
            "", "sk_", "sk____", "a write key of enough bytes", text + "A", " " + text, text + " ", text.uppercased(), "7:" + text,
            text + "\0",
            String(repeating: "sk_write_", count: 1_000),
        ] { #expect(APIKeyText(other) == nil, "\(other.prefix(100))") }
    }

    @Test func rolesHaveNames() {
        for role in KeyRole.allCases { #expect(KeyRole(name: role.name) == role && role.name == "\(role)") }
        for name in ["", "Write", "write ", "owner"] { #expect(KeyRole(name: name) == nil) }
    }
}
