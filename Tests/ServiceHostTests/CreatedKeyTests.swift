import FunnelModel
import FunnelProtocol
import RPC
import Testing

/// Who is let in by created API keys, beside those of the environment.
struct CreatedKeyTests {
    private static let environment = "an admin key of the environment"

    private struct Key {
        var text: String
        var key: CreatedKey

        init(_ role: KeyRole, project: UInt32 = 1, expires: Int64? = nil, origins: [String] = []) {
            var random = SystemRandomNumberGenerator()
            let drawn = APIKeyText(drawing: role, from: &random)
            text = drawn.text
            key = CreatedKey(
                id: drawn.id, role: role, project: project, hash: KeyRing.hash(drawn.text), expires: expires, origins: origins)
        }
    }

    private func ring(_ keys: Key..., operators: Set<[UInt8]> = []) -> KeyRing {
        KeyRing(
            [.init(role: .admin, project: 1, hash: KeyRing.hash(Self.environment))], operators: operators,
            created: CreatedKeys(keys.map(\.key)))
    }

    /// Role, project and id that a key opens, or the error's name.
    private func admit(_ ring: KeyRing, _ text: String, _ role: KeyRole, origin: String? = nil, at now: Int64 = 1_000) -> String {
        do throws(ProtocolError) {
            let principal = try ring.admit(KeyRing.Credential(text), for: role, origin: { origin }, now: now)
            return "\(principal.role) \(principal.project) \(principal.keyID ?? "environment")"
        } catch {
            return error.code.traits.name
        }
    }

    @Test func aKeyOpensItsProjectForItsRole() {
        let (write, read, admin) = (Key(.write, project: 7), Key(.read, project: 8), Key(.admin, project: 9))
        let ring = ring(write, read, admin)
        #expect(admit(ring, write.text, .write) == "write 7 \(write.key.id)")
        #expect(admit(ring, read.text, .read) == "read 8 \(read.key.id)")
        #expect(admit(ring, write.text, .read) == "forbidden" && admit(ring, write.text, .admin) == "forbidden")
        #expect(admit(ring, read.text, .write) == "forbidden")
        for role in KeyRole.allCases {
            #expect(admit(ring, admin.text, role) == "admin 9 \(admin.key.id)")
            #expect(admit(ring, Self.environment, role) == "admin 1 environment")
        }
    }

    @Test func anotherSecretWithAKnownIDIsNoKey() {
        let key = Key(.write)
        var other = key.key
        other.hash = KeyRing.hash("another text")
        let ring = KeyRing([.init(role: .read, project: 1, hash: KeyRing.hash("x"))], created: CreatedKeys([other]))
        #expect(admit(ring, key.text, .write) == "not_authenticated")
        #expect(admit(self.ring(), key.text, .write) == "not_authenticated")
        // A hash of zeros, with which unknown ids are compared, opens nothing.
        other.hash = [UInt8](repeating: 0, count: 32)
        #expect(
            admit(KeyRing([.init(role: .read, project: 1, hash: [1])], created: CreatedKeys([other])), key.text, .write)
                == "not_authenticated")
    }

    @Test func aKeyEndsAtItsTime() {
        let key = Key(.write, expires: 1_000)
        let ring = ring(key, Key(.write))
        #expect(admit(ring, key.text, .write, at: 999) == "write 1 \(key.key.id)")
        for now: Int64 in [1_000, 1_001, .max] { #expect(admit(ring, key.text, .write, at: now) == "not_authenticated") }
    }

    @Test func severalKeysAreValidAtOnce() {
        let (old, new) = (Key(.write), Key(.write))
        #expect(admit(ring(old, new), old.text, .write) == "write 1 \(old.key.id)")
        #expect(admit(ring(old, new), new.text, .write) == "write 1 \(new.key.id)")
        #expect(admit(ring(new), old.text, .write) == "not_authenticated")
    }

    @Test func originsAreThoseOfTheList() {
        let key = Key(.write, origins: ["https://shop.example", "http://localhost:3000"])
        let ring = ring(key)
        for origin in key.key.origins { #expect(admit(ring, key.text, .write, origin: origin) == "write 1 \(key.key.id)") }
        for origin in [
            nil, "", "null", "https://shop.example.evil", "https://shop.example:443", "HTTPS://shop.example", "http://shop.example",
        ] {
            #expect(admit(ring, key.text, .write, origin: origin) == "forbidden", "\(origin ?? "none")")
        }
        // Who has not the key does not learn that it has origins.
        #expect(admit(ring, Key(.write).text, .write, origin: "https://evil.example") == "not_authenticated")
    }

    @Test func theHeadersOfAPageAreReadOnlyForKeysWithOrigins() throws {
        let (plain, bound) = (Key(.write), Key(.write, origins: ["https://shop.example"]))
        let ring = ring(plain, bound)
        var asked = 0
        func origin() -> String? {
            asked += 1
            return "https://shop.example"
        }
        for text in [plain.text, Self.environment] { _ = try ring.admit("Bearer \(text)", for: .write, origin: origin) }
        #expect(asked == 0)
        _ = try ring.admit("Bearer \(bound.text)", for: .write, origin: origin)
        #expect(asked == 1)
    }

    /// A key that the coordinator has created may not be refused for good by a service that has no list yet.
    @Test func beforeTheListHasArrivedKeysOfItsFormAreNotRefusedForGood() {
        let key = Key(.write)
        let waiting = KeyRing([.init(role: .write, project: 1, hash: KeyRing.hash(Self.environment))], created: nil)
        #expect(admit(waiting, key.text, .write) == "not_ready")
        for text in ["a text of another form", String(key.text.dropLast()), key.text + "0"] {
            #expect(admit(waiting, text, .write) == "not_authenticated")
        }
        #expect(admit(waiting, Self.environment, .write) == "write 1 environment")
    }

    @Test func operatorsAreAdminKeysWithoutAProject() throws {
        let list = ["the operator's long key", "1:admin of project one", "7:admin of project seven"]
        let keys = try KeyRing.parse(list, role: .admin, setting: "admin-keys")
        let created = Key(.admin)
        let ring = KeyRing(keys, operators: KeyRing.operators(list), created: CreatedKeys([created.key]))
        func isOperator(_ text: String) throws -> Bool { try ring.admit("Bearer \(text)", for: .read).isOperator }
        #expect(try isOperator("the operator's long key"))
        for text in ["admin of project one", "admin of project seven", created.text] {
            #expect(try !isOperator(text))
            let error = #expect(throws: ProtocolError.self) { try ring.admit("Bearer \(text)", for: .admin).requireOperator() }
            #expect(error?.code == .forbidden)
        }
        // A read key with the same text is no operator's.
        let read = KeyRing(
            [.init(role: .read, project: 1, hash: KeyRing.hash("the operator's long key"))], operators: KeyRing.operators(list))
        #expect(try !read.admit("Bearer the operator's long key", for: .read).isOperator)
        // Without keys everybody on the machine may do everything.
        #expect(try KeyRing([]).admit(nil, for: .admin).isOperator)
    }

    // MARK: Uses

    @Test func usesAreReportedOnceAMinute() throws {
        let (used, unused) = (Key(.write), Key(.write))
        let created = CreatedKeys([used.key, unused.key])
        let ring = KeyRing([.init(role: .read, project: 1, hash: [1])], created: created)
        func use(at now: Int64) throws { _ = try ring.admit(KeyRing.Credential(used.text), for: .write, now: now) }
        #expect(created.unreportedUses(limit: 10).isEmpty)
        try use(at: 119)
        try use(at: 60)
        #expect(created.unreportedUses(limit: 10) == [KeyUse(id: used.key.id, minute: 1)])
        #expect(created.unreportedUses(limit: 10).count == 1, "not reported yet")
        created.didReport([KeyUse(id: used.key.id, minute: 1)])
        #expect(created.unreportedUses(limit: 10).isEmpty)
        try use(at: 119)
        #expect(created.unreportedUses(limit: 10).isEmpty)
        try use(at: 120)
        #expect(created.unreportedUses(limit: 10) == [KeyUse(id: used.key.id, minute: 2)])
        // Uses outlive a change of the list.
        let next = CreatedKeys([used.key], replacing: created)
        #expect(next.unreportedUses(limit: 10) == [KeyUse(id: used.key.id, minute: 2)])
        // A refused request is no use.
        #expect(throws: ProtocolError.self) { try ring.admit(KeyRing.Credential(unused.text), for: .admin, now: 200) }
        #expect(created.unreportedUses(limit: 10).map(\.id) == [used.key.id])
    }

    @Test func usesAreReportedInParts() throws {
        let keys = (0..<10).map { _ in Key(.write) }
        let created = CreatedKeys(keys.map(\.key))
        let ring = KeyRing([.init(role: .read, project: 1, hash: [1])], created: created)
        for key in keys { _ = try ring.admit(KeyRing.Credential(key.text), for: .write, now: 600) }
        var seen: Set<String> = []
        for count in [4, 4, 2, 0] {
            let part = created.unreportedUses(limit: 4)
            #expect(part.count == count)
            seen.formUnion(part.map(\.id))
            created.didReport(part)
        }
        #expect(seen == Set(keys.map(\.key.id)))
    }
}
