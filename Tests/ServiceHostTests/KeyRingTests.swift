import FunnelModel
import FunnelProtocol
import RPC
import Testing

/// Who is let in by which key, and how keys are configured.
struct KeyRingTests {
    private static let write = "a write key of enough bytes"
    private static let read = "a read key of enough bytes"
    private static let admin = "an admin key of enough bytes"

    private func ring(_ keys: (String, KeyRole, UInt32)...) -> KeyRing {
        KeyRing(keys.map { .init(role: $0.1, project: $0.2, hash: KeyRing.hash($0.0)) })
    }

    private var usual: KeyRing { ring((Self.write, .write, 7), (Self.read, .read, 8), (Self.admin, .admin, 9)) }

    /// Role and project that the header opens, or the error's name.
    private func admit(_ ring: KeyRing, _ authorization: String?, _ role: KeyRole) -> String {
        do throws(ProtocolError) {
            let principal = try ring.admit(authorization, for: role)
            return "\(principal.role) \(principal.project)"
        } catch {
            return error.code.traits.name
        }
    }

    @Test func aKeyOpensItsProjectForItsRole() {
        #expect(admit(usual, "Bearer \(Self.write)", .write) == "write 7")
        #expect(admit(usual, "Bearer \(Self.read)", .read) == "read 8")
        #expect(admit(usual, "Bearer \(Self.write)", .read) == "forbidden")
        #expect(admit(usual, "Bearer \(Self.read)", .write) == "forbidden")
        for role in [KeyRole.write, .read] {
            #expect(admit(usual, "Bearer \(role == .write ? Self.write : Self.read)", .admin) == "forbidden")
            // An admin key opens everything, in its own project.
            #expect(admit(usual, "Bearer \(Self.admin)", role) == "admin 9")
        }
    }

    @Test func everyOtherTextIsNoKey() {
        let key = Self.write
        let hash = KeyRing.hash(key).map { String($0, radix: 16) }.joined()
        for text in [
            "", " ", String(key.dropLast()), String(key.dropFirst()), key + " ", " " + key, key + key, key.uppercased(), "7:" + key,
            String(key.prefix(16)), hash, key + "\0", "\"\(key)\"",
        ] {
            for role in KeyRole.allCases { #expect(admit(usual, "Bearer \(text)", role) == "not_authenticated", "\(text) for \(role)") }
        }
        for length in 0..<key.utf8.count { #expect(admit(usual, "Bearer \(key.prefix(length))", .write) == "not_authenticated") }
    }

    @Test func theHeaderIsOfTheBearerScheme() throws {
        for scheme in ["Bearer ", "bearer ", "BEARER "] { #expect(try KeyRing.key(in: scheme + Self.write) == Self.write) }
        for header in [nil, "", "Bearer", Self.write, "Basic \(Self.write)", "Bearer\t\(Self.write)", "Bearer:\(Self.write)", " Bearer x"] {
            #expect(admit(usual, header, .write) == "not_authenticated", "\(header ?? "none")")
        }
    }

    @Test func withoutKeysEverybodyIsAdmin() {
        let open = KeyRing([])
        #expect(open.isOpen && !usual.isOpen)
        for header in [nil, "Bearer x", "nonsense"] {
            #expect(admit(open, header, .admin) == "admin 1")
        }
    }

    @Test func aKeyUnderSeveralRolesHasThemAll() {
        let keys = ring((Self.write, .write, 1), (Self.write, .read, 1))
        #expect(admit(keys, "Bearer \(Self.write)", .write) == "write 1")
        #expect(admit(keys, "Bearer \(Self.write)", .read) == "read 1")
        #expect(admit(keys, "Bearer \(Self.write)", .admin) == "forbidden")
        // Given twice is given once.
        let twice = ring((Self.read, .read, 3), (Self.read, .read, 3))
        #expect(admit(twice, "Bearer \(Self.read)", .read) == "read 3")
        #expect(admit(twice, "Bearer \(Self.read)", .write) == "forbidden")
    }

    // MARK: Configured keys

    private func parse(_ list: String...) throws(InvalidDocument) -> [ClusterSnapshot.Key] {
        try KeyRing.parse(list, role: .write, setting: "SLUICE_WRITE_KEYS")
    }

    @Test func anEntryIsAKeyOrAProjectAndAKey() throws {
        let keys = try parse("first key of project one", "42:key of project 42", "4294967295:the last project")
        #expect(keys.map(\.project) == [1, 42, .max] && keys.allSatisfy { $0.role == .write })
        #expect(keys.map(\.hash) == ["first key of project one", "key of project 42", "the last project"].map(KeyRing.hash))
        // Behind the project everything is the key.
        #expect(try parse("7:with:colons:in it").map(\.hash) == [KeyRing.hash("with:colons:in it")])
        #expect(try KeyRing.parse([], role: .read, setting: "s").isEmpty)
    }

    @Test func theHashIsSHA256OfTheText() {
        // FIPS 180-2, B.1.
        let hash = KeyRing.hash("abc").map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
        #expect(hash == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func everyBadEntryIsNamedByItsPlaceAndNotByItsText() {
        let bad = [
            "short", "1:short", "0:a key that is long", "x:a key that is long", "-1:a key that is long", "4294967296:a key that is long",
            "", "7:", "12345678:", ":a key that is long",
        ]
        let found = #expect(throws: InvalidDocument.self) {
            try KeyRing.parse(["a good key at first"] + bad, role: .write, setting: "SLUICE_WRITE_KEYS")
        }
        #expect(found?.faults.map(\.field) == Array(repeating: "SLUICE_WRITE_KEYS", count: bad.count))
        for (i, fault) in (found?.faults ?? []).enumerated() {
            #expect(fault.reason.hasPrefix("entry \(i + 2) must be ") && !fault.reason.contains("short"), "\(fault.reason)")
            #expect(!fault.reason.contains("that is long"), "\(fault.reason)")
        }
    }

    @Test func shortKeysAreWarnedOfByTheirPlaces() {
        let sixteen = String(repeating: "k", count: KeyRing.shortKeyBytes)
        #expect(KeyRing.shortEntries([]).isEmpty && KeyRing.shortEntries([sixteen, "1:" + sixteen]).isEmpty)
        #expect(KeyRing.shortEntries([String(sixteen.dropLast()), sixteen, "12345678:" + sixteen.dropLast()]) == [1, 3])
        // Bytes count, not characters.
        #expect(KeyRing.shortEntries(["ключключ", "ключклю"]) == [2])
    }
}
