import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import RPC
import ServiceRuntime
import Synchronization

/// The API keys of the cluster: those of the environment, which stay as they are while the process runs, and created ones. A change is
/// stored, then in force here, then sent to the services that wait for it.
package final class APIKeys: Sendable {
    private struct State {
        var records: [String: KeyRecord] = [:]
        /// Keys that are being stored; they count for limits.
        var reserved: [String: KeyRecord] = [:]
        var created = CreatedKeys()
        /// Minutes since 1970, by id: the newest of all services.
        var uses: [String: Int64] = [:]
        /// Projects whose uses are not stored.
        var changed: Set<UInt32> = []
    }

    private let store: KeyStore
    private let environment: [ClusterSnapshot.Key]
    private let operators: Set<[UInt8]>
    private let logger: Logger
    private let state = Mutex(State())
    private let current: Mutex<KeyRing>
    private let polls = ListPolls()
    private let limit = LogLimit()

    /// An expired key is deleted when another key of its project is created this many seconds after its end.
    package static let expiredKept: Int64 = 30 * 86_400

    /// Loads the created keys.
    /// - Parameter operators: hashes of the admin keys of the environment that rule the whole cluster.
    /// - Throws: `InvalidDocument` if there are created keys and the environment has none: the cluster would be open to everybody.
    package init(
        _ store: KeyStore, environment: [ClusterSnapshot.Key], operators: Set<[UInt8]>, logger: Logger
    ) async throws {
        self.store = store
        self.environment = environment
        self.operators = operators
        self.logger = logger
        current = Mutex(KeyRing(environment, operators: operators))
        let (keys, unreadable) = try await store.all()
        if environment.isEmpty, !keys.isEmpty || !unreadable.isEmpty {
            throw InvalidDocument([
                FieldFault(
                    "--admin-keys",
                    """
                    is required, or --write-keys or --read-keys: this cluster has \(keys.count + unreadable.count) created API keys, \
                    and without keys of the environment everybody on this machine could do everything
                    """)
            ])
        }
        for key in unreadable { logger.error("an API key cannot be read and does not work", metadata: ["error": "\(key)"]) }
        let uses = try await store.uses()
        change { state in
            state.records = Dictionary(keys.map { ($0.key.id, $0) }) { $1 }
            state.uses = uses.filter { state.records[$0.key] != nil }
        }
    }

    /// The keys that are in force now.
    package var ring: KeyRing { current.withLock { $0 } }

    /// Changes the records and puts the new list in force.
    /// - Returns: number of services that were waiting for it.
    @discardableResult
    private func change(_ body: (inout State) -> Void) -> Int {
        state.withLock { state in
            body(&state)
            state.created = CreatedKeys(state.records.values.map(\.key), replacing: state.created)
            let ring = KeyRing(environment, operators: operators, created: state.created)
            current.withLock { $0 = ring }
        }
        return polls.change()
    }

    // MARK: - For people

    /// A key in a list.
    package struct Listed: Equatable, Sendable {
        package var record: KeyRecord
        /// Minutes since 1970; nil if it was not used.
        package var lastUse: Int64?
    }

    /// The created keys of a project, or of all, the oldest first.
    package func list(project: UInt32?) -> [Listed] {
        takeOwnUses()
        return state.withLock { state in
            state.records.values.filter { project == nil || $0.key.project == project }
                .sorted { ($0.created, $0.key.id) < ($1.created, $1.key.id) }
                .map { Listed(record: $0, lastUse: state.uses[$0.key.id]) }
        }
    }

    /// Creates a key.
    /// - Parameters:
    ///   - project: must exist.
    ///   - creator: the caller.
    ///   - now: seconds since 1970.
    /// - Returns: the key, and its text, which is nowhere else.
    /// - Throws: `AccessRefusal`.
    package func create(
        _ request: KeyRequest, project: UInt32, by creator: KeyRing.Principal, now: Int64
    ) async throws -> (record: KeyRecord, text: String) {
        guard !environment.isEmpty else { throw AccessRefusal.keysNeeded }
        var random = SystemRandomNumberGenerator()
        let text = APIKeyText(drawing: request.role, from: &random)
        let key = CreatedKey(
            id: text.id, role: request.role, project: project, hash: KeyRing.hash(text.text), expires: request.expires,
            origins: request.origins)
        let record = KeyRecord(key: key, name: request.name, created: now, creator: creator.keyID ?? KeyRecord.environment)
        let old = try reserve(record, now)
        do {
            try await store.add(record, removing: old)
        } catch {
            state.withLock { $0.reserved[key.id] = nil }
            throw error
        }
        let waiting = change { state in
            state.reserved[key.id] = nil
            state.records[key.id] = record
            for id in old { state.records[id] = nil }
        }
        log("API key created", record, creator)
        await polls.awaitServices(waiting)
        return (record, text.text)
    }

    /// Makes room for a key within the limits.
    /// - Returns: ids of keys that expired long ago and are to be removed.
    private func reserve(_ record: KeyRecord, _ now: Int64) throws(AccessRefusal) -> [String] {
        try state.withLock { state throws(AccessRefusal) in
            let project = record.key.project
            let own = state.records.values.filter { $0.key.project == project }
            // Expired keys are kept to be seen, but not where a new one needs the place.
            let kept = own.count + 1 > Limits.keysPerProject ? 0 : Self.expiredKept
            let old = own.filter { $0.key.isExpired(at: now - kept) }.map(\.key.id)
            let others = state.records.values.filter { !old.contains($0.key.id) } + Array(state.reserved.values)
            guard others.count(where: { $0.key.project == project }) < Limits.keysPerProject else {
                throw .keysOfProject(project)
            }
            guard others.count < Limits.keys else { throw .keysOfCluster }
            let bytesOfProject = (others.filter { $0.key.project == project } + [record]).reduce(0) {
                $0 + KeyListMessage.bytes(of: $1.key)
            }
            guard bytesOfProject <= Limits.keyListBytesPerProject else { throw .keyListBytesOfProject(project) }
            let bytes = (others + [record]).reduce(16) { $0 + KeyListMessage.bytes(of: $1.key) }
            guard bytes <= Limits.keyListBytes else { throw .keyListBytes }
            state.reserved[record.key.id] = record
            return old
        }
    }

    /// Revokes a key.
    /// - Parameter project: the project that the key must have; nil for any.
    /// - Throws: `AccessRefusal.unknownKey`.
    package func revoke(_ id: String, project: UInt32?, by caller: KeyRing.Principal) async throws {
        let found = state.withLock { $0.records[id] }
        guard let found, project == nil || found.key.project == project else { throw AccessRefusal.unknownKey }
        try await store.remove(id)
        let waiting = change { state in
            state.records[id] = nil
            state.uses[id] = nil
            state.changed.insert(found.key.project)
        }
        log("API key revoked", found, caller)
        await polls.awaitServices(waiting)
    }

    private func log(_ event: String, _ record: KeyRecord, _ caller: KeyRing.Principal) {
        logger.notice(
            "\(event)",
            metadata: [
                "key": "\(record.key.id)", "role": "\(record.key.role)", "project": "\(record.key.project)",
                "by": "\(caller.keyID ?? KeyRecord.environment)",
            ])
    }

    // MARK: - For services

    /// A long poll: the list, once its version differs from the one that the caller knows or the wait is over.
    package func answer(_ request: KeyListRequest, now: Int64) async -> KeyListMessage {
        note(request.uses, now)
        let version = await polls.wait(known: request.known, milliseconds: request.waitMilliseconds)
        if version == request.known { return KeyListMessage(version: version, keys: nil) }
        return KeyListMessage(version: version, keys: state.withLock { $0.records.values.map(\.key) }.sorted { $0.id < $1.id })
    }

    /// Ends the waits in `answer`.
    package func endWaiting() { polls.endWaiting() }

    // MARK: - Uses

    /// Notes uses on any service. A service's clock may be wrong: a time ahead of this clock is cut.
    private func note(_ uses: [KeyUse], _ now: Int64) {
        guard !uses.isEmpty else { return }
        state.withLock { state in
            for use in uses {
                let minute = min(use.minute, now / 60)
                guard let record = state.records[use.id], minute > state.uses[use.id] ?? 0 else { continue }
                state.uses[use.id] = minute
                state.changed.insert(record.key.project)
            }
        }
    }

    private func takeOwnUses() {
        let created = state.withLock { $0.created }
        let uses = created.unreportedUses(limit: .max)
        note(uses, WallClock.now() / 1_000_000)
        created.didReport(uses)
    }

    /// Stores the times of uses that have changed.
    package func keepUses() async {
        takeOwnUses()
        let (changed, uses) = state.withLock { state in
            defer { state.changed = [] }
            let own = Dictionary(grouping: state.records.values.filter { state.changed.contains($0.key.project) }, by: \.key.project)
            let uses = state.changed.map { project in
                (project, (own[project] ?? []).compactMap { key in state.uses[key.key.id].map { KeyUse(id: key.key.id, minute: $0) } })
            }
            return (state.changed, Dictionary(uses) { $1 })
        }
        do {
            try await store.write(uses: uses)
        } catch {
            state.withLock { $0.changed.formUnion(changed) }
            limit.log(logger, .error, "uses", "the times when API keys were used cannot be stored", ["error": "\(words(error))"])
        }
    }

    /// Stores uses until cancelled. `keepUses` is to be called once more at the stop.
    package func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(30))
            await keepUses()
        }
    }
}
