import CoordinatorService
import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import RPC
import Testing

/// The coordinator's API keys: created, listed, revoked, sent to services, and loaded again.
struct APIKeysTests {
    private static let environment = "an admin key of the environment"
    private static let keys: [ClusterSnapshot.Key] = [.init(role: .admin, project: 1, hash: KeyRing.hash(environment))]
    private static let now: Int64 = 1_700_000_000

    private func open(_ store: any MetadataStore, environment: [ClusterSnapshot.Key] = keys) async throws -> APIKeys {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try await APIKeys(
            KeyStore(store), environment: environment, operators: KeyRing.operators([Self.environment]), logger: logger)
    }

    private func caller(_ keys: APIKeys) throws -> KeyRing.Principal { try keys.ring.admit("Bearer \(Self.environment)", for: .admin) }

    private func create(
        _ keys: APIKeys, _ role: KeyRole = .write, project: UInt32 = 1, expires: Int64? = nil, origins: [String] = [], at now: Int64 = now
    ) async throws -> (id: String, text: String) {
        var request = try KeyRequest.parse(["role": .text(role.name)], now: 0)
        request.expires = expires
        request.origins = origins
        let (record, text) = try await keys.create(request, project: project, by: try caller(keys), now: now)
        return (record.key.id, text)
    }

    private func opens(_ keys: APIKeys, _ text: String, _ role: KeyRole = .write) -> Bool {
        (try? keys.ring.admit("Bearer \(text)", for: role)) != nil
    }

    @Test func aKeyIsInForceAtOnceAndAfterARestart() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            let (write, read) = (try await create(keys), try await create(keys, .read, project: 2))
            #expect(opens(keys, write.text) && opens(keys, read.text, .read) && !opens(keys, read.text))
            let second = try await open(store)
            #expect(opens(second, write.text) && opens(second, read.text, .read))
            #expect(second.list(project: nil).map(\.record.key.id).sorted() == [write.id, read.id].sorted())
            #expect(second.list(project: 2).map(\.record.key.id) == [read.id] && second.list(project: 3).isEmpty)
            #expect(second.list(project: 2).first?.record.creator == KeyRecord.environment)
            // Revoked: at once, and after a restart; another project's admin has no such key.
            #expect(await refusal { try await keys.revoke(read.id, project: 1, by: try caller(keys)) } == .unknownKey)
            try await keys.revoke(read.id, project: 2, by: try caller(keys))
            try await keys.revoke(write.id, project: nil, by: try caller(keys))
            #expect(await refusal { try await keys.revoke(write.id, project: nil, by: try caller(keys)) } == .unknownKey)
            #expect(!opens(keys, write.text) && !opens(keys, read.text, .read))
            #expect(try await !opens(open(store), write.text))
            #expect(opens(keys, Self.environment))
            #expect(try await store.list(prefix: "api-key/").isEmpty)
        }
    }

    @Test func withoutKeysOfTheEnvironmentNoneIsCreated() async throws {
        try await withMetadataStore { store in
            let bare = try await open(store, environment: [])
            #expect(bare.ring.isOpen)
            let refused = await refusal {
                _ = try await bare.create(
                    KeyRequest.parse(["role": "write"], now: 0), project: 1, by: try bare.ring.admit(nil, for: .admin), now: Self.now)
            }
            #expect(refused == .keysNeeded)
            // And with created keys, the environment must have one: the cluster would be open.
            let keys = try await open(store)
            let key = try await create(keys)
            let error = await #expect(throws: InvalidDocument.self) { try await open(store, environment: []) }
            #expect(error?.faults.map(\.field) == ["--admin-keys"])
            try await keys.revoke(key.id, project: nil, by: try caller(keys))
            #expect(try await open(store, environment: []).ring.isOpen)
        }
    }

    @Test func aKeyThatCannotBeReadIsNotInForce() async throws {
        try await withMetadataStore { store in
            _ = try await store.compareAndSet("api-key/later", expected: 0, value: Array(#"{"role":"owner"}"#.utf8))
            #expect(try await open(store).list(project: nil).isEmpty)
            await #expect(throws: InvalidDocument.self) { try await open(store, environment: []) }
        }
    }

    // MARK: Limits

    @Test func aProjectHasAtMostSoManyKeys() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            for _ in 0..<Limits.keysPerProject { _ = try await create(keys) }
            #expect(await refusal { _ = try await create(keys) } == .keysOfProject(1))
            _ = try await create(keys, project: 2)
            try await keys.revoke(try #require(keys.list(project: 1).first?.record.key.id), project: 1, by: try caller(keys))
            _ = try await create(keys)
            #expect(keys.list(project: nil).count == Limits.keysPerProject + 1)
        }
    }

    /// Expired keys do not stand in the way of a new one.
    @Test func expiredKeysMakeRoomAtTheLimit() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            for _ in 0..<Limits.keysPerProject { _ = try await create(keys, expires: Self.now + 60) }
            #expect(await refusal { _ = try await create(keys, at: Self.now + 59) } == .keysOfProject(1))
            _ = try await create(keys, at: Self.now + 61)
            #expect(keys.list(project: 1).count == 1)
        }
    }

    @Test func keysThatExpiredLongAgoMakeRoom() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            let old = try await create(keys, expires: Self.now + 60)
            let other = try await create(keys, project: 2, expires: Self.now + 60)
            // Expired, and still in the list.
            _ = try await create(keys, at: Self.now + 61)
            #expect(!opens(keys, old.text) && keys.list(project: 1).count == 2)
            _ = try await create(keys, at: Self.now + 60 + APIKeys.expiredKept)
            #expect(!keys.list(project: nil).map(\.record.key.id).contains(old.id))
            #expect(keys.list(project: 2).map(\.record.key.id) == [other.id])
            #expect(try await store.get("api-key/\(old.id)") == nil)
        }
    }

    // MARK: Services

    @Test func servicesGetEveryChange() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            let first = await keys.answer(KeyListRequest(known: 0, waitMilliseconds: 20_000), now: Self.now)
            #expect(first.keys == [] && first.version != 0)
            // With the known version there is nothing new, after the wait.
            let start = ContinuousClock.now
            let second = await keys.answer(KeyListRequest(known: first.version, waitMilliseconds: 150), now: Self.now)
            #expect(second == KeyListMessage(version: first.version, keys: nil) && ContinuousClock.now - start >= .milliseconds(150))
            // A change ends the wait.
            async let waiting = keys.answer(KeyListRequest(known: first.version, waitMilliseconds: 20_000), now: Self.now)
            let key = try await create(keys, origins: ["https://shop.example"])
            let third = await waiting
            #expect(third.version != first.version && third.keys?.map(\.id) == [key.id] && third.keys?.first?.origins.count == 1)
            #expect(try KeyListMessage(body: third.body) == third)
            // A version that this process has never drawn is another.
            #expect(await keys.answer(KeyListRequest(known: 77, waitMilliseconds: 20_000), now: Self.now) == third)
            // The next process draws others, so services have to take its list.
            let next = try await open(store).answer(KeyListRequest(known: third.version, waitMilliseconds: 20_000), now: Self.now)
            #expect(next.keys == third.keys)
            keys.endWaiting()
            #expect(await keys.answer(KeyListRequest(known: third.version, waitMilliseconds: 20_000), now: Self.now).keys == nil)
        }
    }

    @Test func usesAreTheNewestOfAllServices() async throws {
        try await withMetadataStore { store in
            let keys = try await open(store)
            let (one, two) = (try await create(keys), try await create(keys, .read))
            func last(_ id: String, _ keys: APIKeys) -> Int64? { keys.list(project: nil).first { $0.record.key.id == id }?.lastUse }
            func report(_ uses: KeyUse...) async {
                _ = await keys.answer(KeyListRequest(known: 0, waitMilliseconds: 0, uses: uses), now: Self.now)
            }
            #expect(last(one.id, keys) == nil)
            await report(KeyUse(id: one.id, minute: 100), KeyUse(id: "gone", minute: 100))
            await report(KeyUse(id: one.id, minute: 90))
            #expect(last(one.id, keys) == 100)
            // A clock that is ahead.
            await report(KeyUse(id: one.id, minute: Int64(UInt32.max)))
            #expect(last(one.id, keys) == Self.now / 60)
            // The coordinator's own.
            #expect(opens(keys, two.text, .read))
            #expect((last(two.id, keys) ?? 0) > Self.now / 60)
            let stored = last(two.id, keys)
            await keys.keepUses()
            let second = try await open(store)
            #expect(last(one.id, second) == Self.now / 60 && last(two.id, second) == stored)
            // Of a revoked key nothing is left.
            try await keys.revoke(one.id, project: nil, by: try caller(keys))
            await keys.keepUses()
            #expect(try await KeyStore(store).uses().keys.sorted() == [two.id])
        }
    }
}
