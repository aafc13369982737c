import EventRules
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import RPC
import ServiceHost
import ServiceRuntime

/// The HTTP endpoints of ingest: JSON in, JSON out.
package struct IngestRoutes: Sendable {
    let intake: Intake
    let door: KeyDoor
    let bodies: BodyMemory
    /// Answers CloudEvents, which come to the path of native events.
    let sdks: SDKRoutes
    let incoming: IncomingEvents

    package static let endpoints = Form.allCases.map { form in
        Endpoint<IngestRoutes>(
            .post, form.path, role: .write, findsKey: true,
            bodyBytesMax: { form == .trackEvent ? 1 << 20 : $0.intake.bodyBytesMax }
        ) {
            if form == .events, Self.isCloudEvent($1.request.head) { return try await $0.sdks.answer($1) }
            do {
                let toll = try Toll($0.intake.limits, $1)
                return try await $0.answer(form, $1.of($0.door.admit($1.request, for: .write)), toll).response
            } catch {
                $0.intake.noteRefused((error as? ProtocolError)?.limit, $1.context.logger)
                throw error
            }
        }
    }

    /// Whether a request to the path of native events has CloudEvents.
    private static func isCloudEvent(_ head: HTTPRequest) -> Bool {
        head.headerFields.contains(.ceSpecVersion)
            || head.headerFields[.contentType]?.lowercased().hasPrefix("application/cloudevents") == true
    }

    func add(to router: ServiceRouter) {
        router.add(Self.endpoints, of: self) { [door] in try door.admit($0, for: $1) }
    }

    /// How events are written.
    private enum Form: CaseIterable {
        /// One event; its errors have the shape that FastAPI services send: 422 with `detail`.
        case trackEvent
        case events

        var path: String {
            switch self {
            case .trackEvent: "/track-event"
            case .events: "/v1/events"
            }
        }

        /// As rules name it.
        var endpoint: EventEndpoint {
            switch self {
            case .trackEvent: .trackEvent
            case .events: .events
            }
        }
    }

    private func answer(_ form: Form, _ call: EndpointCall, _ toll: Toll) async throws -> WholeAnswer {
        let principal = try call.caller
        guard let tables = intake.rules.tables(of: principal.project) else { return try await answer(form, call, toll, principal, nil) }
        let headers = HTTPFields(revisionOf: tables)
        do {
            var answer = try await answer(form, call, toll, principal, tables)
            answer.headers.append(contentsOf: headers)
            return answer
        } catch {
            throw HeadedError(error, headers)
        }
    }

    private func answer(
        _ form: Form, _ call: EndpointCall, _ toll: Toll, _ principal: KeyRing.Principal, _ tables: RuleTables?
    ) async throws -> WholeAnswer {
        let head = call.request.head
        let key = try Self.key(of: head)
        try toll.admit(principal)
        return try await bodies.with(principal.project, call.context) { lease in
            let body = try await ReceivedBody.read(call.request, limit: call.bodyBytesMax, lease: lease)
            toll.read(body.receivedBytes, principal)
            let (events, bytes) = try await intake.parsing.run(principal.project) {
                let bytes = try body.content()
                return (read(form, head, bytes, key, tables), bytes)
            }
            let origin = RequestOrigin(principal, form.path)
            switch events {
            case .failure(let answer, let fault, let ruled):
                toll.failed(principal)
                noteRejected(answer, fault, by: ruled, bytes, key, origin)
                intake.noteRefused(answer.failure?.limit, call.context.logger)
                return answer
            case .success(let batch):
                try toll.admit(batch, principal)
                let outcome = try await intake.store(batch, delivery: nil, sender: Sender(principal), logger: call.context.logger)
                if incoming.wants(outcome) {
                    // The events are stored, so a thread that has ended must not fail the request.
                    try? await intake.parsing.run(principal.project, isLong: bytes.count > Self.longBytes) {
                        note(form, head, bytes, key, batch, outcome, origin)
                    }
                }
                guard outcome.rejected.count > Intake.rejectedAtOnceMax else { return answer(form, outcome, key, batch.ruled) }
                return try await intake.parsing.run(principal.project) { answer(form, outcome, key, batch.ruled) }
            }
        }
    }

    /// The fast path for short requests, on the event loop of their connection.
    func small(account: HTTPRequestLog, logger: Logger) -> SmallRequests {
        func path(_ form: Form) -> SmallRequests.Begin {
            { head, sender in
                guard form != .events || !Self.isCloudEvent(head), let principal = door.admitAtOnce(head, for: .write),
                    let key = try? Self.key(of: head)
                else { return nil }
                return { bytes, done in
                    do throws(ProtocolError) {
                        let address = intake.limits == nil ? "" : sender.address
                        let toll = try Toll(intake.limits, whole: bytes.count, principal, from: address)
                        return try answerSmall(form, head, bytes, key, principal, toll, logger, done)
                    } catch {
                        intake.noteRefused(error.limit, logger)
                        done(WholeAnswer(error))
                        return true
                    }
                }
            }
        }
        let paths = Dictionary(uniqueKeysWithValues: Form.allCases.map { ($0.path, path($0)) })
        return SmallRequests(paths: paths, account: account, logger: logger)
    }

    private func answerSmall(
        _ form: Form, _ head: HTTPRequest, _ bytes: [UInt8], _ key: ByteString, _ principal: KeyRing.Principal, _ toll: Toll,
        _ logger: Logger, _ done: @escaping @Sendable (WholeAnswer) -> Void
    ) throws(ProtocolError) -> Bool {
        let tables = intake.rules.tables(of: principal.project)
        let send: @Sendable (WholeAnswer) -> Void = { answer in
            guard let tables else { return done(answer) }
            var answer = answer
            answer.headers.append(contentsOf: HTTPFields(revisionOf: tables))
            done(answer)
        }
        switch read(form, head, bytes, key, tables) {
        case .failure(let answer, let fault, let ruled):
            toll.failed(principal, isWhole: true)
            noteRejected(answer, fault, by: ruled, bytes, key, RequestOrigin(principal, form.path))
            intake.noteRefused(answer.failure?.limit, logger)
            send(answer)
            return true
        case .success(let batch):
            // The router answers it, and asks the limits then.
            guard batch.batch.count <= ShardRouter.gatheredRowsMax else { return false }
            try toll.admitWhole(batch, principal)
            let ruled = batch.ruled
            let isTaken = intake.gather(batch, sender: Sender(principal), logger: logger) { result in
                switch result {
                case .success(let outcome):
                    if incoming.wants(outcome) { note(form, head, bytes, key, batch, outcome, RequestOrigin(principal, form.path)) }
                    send(answer(form, outcome, key, ruled))
                case .failure(let error):
                    intake.noteRefused(error.limit, logger)
                    send(WholeAnswer(error))
                }
            }
            // The router answers it, and asks the limits again.
            if !isTaken { toll.giveBack(batch, principal) }
            return isTaken
        }
    }

    private static func key(of head: HTTPRequest) throws(ProtocolError) -> ByteString {
        let key = ByteString(head.headerFields[.idempotencyKey] ?? "")
        guard key.count <= Limits.idempotencyKeyBytes else {
            throw ProtocolError(.invalidQuery, "Idempotency-Key has \(key.count) bytes; the limit is \(Limits.idempotencyKeyBytes)")
        }
        return key
    }

    // MARK: - From bytes to events

    private enum Read {
        case success(ReadBatch)
        /// The fault is that of a single event.
        case failure(WholeAnswer, EventFault?, RuleEffect?)
    }

    private func read(_ form: Form, _ head: HTTPRequest, _ bytes: [UInt8], _ key: ByteString, _ tables: RuleTables?) -> Read {
        let missingTime = tables?.missingTime(at: form.endpoint)
        do {
            switch form {
            case .trackEvent: return try readOne(bytes, key, tables, missingTime)
            case .events:
                var batch = try readMany(head, bytes, key, missingTime)
                if let tables { try batch.apply(tables) }
                return .success(batch)
            }
        } catch {
            return .failure(WholeAnswer(ProtocolError(of: error)), nil, nil)
        }
    }

    /// Reads one event; errors are 422 with `{"detail": [{"loc", "msg", "type"}]}`.
    private func readOne(_ bytes: [UInt8], _ key: ByteString, _ tables: RuleTables?, _ missingTime: MissingTime?) throws -> Read {
        do {
            var scanner = EventScanner(now: WallClock.now(), idempotencyKey: key)
            scanner.take(try EventReader(now: WallClock.now(), missingTime: missingTime).record(bytes))
            var batch = ReadBatch(scanner.finish())
            if let tables { try batch.apply(tables) }
            if let fault = batch.rejected.first?.fault { return .failure(Self.unprocessable(fault), fault, batch.ruled) }
            return .success(batch)
        } catch let error as JSONError {
            let fault = EventFault("body", error.description, "json_invalid")
            return .failure(Self.unprocessable(fault), fault, nil)
        } catch let fault as EventFault {
            return .failure(Self.unprocessable(fault), fault, nil)
        }
    }

    private static func unprocessable(_ fault: EventFault) -> WholeAnswer {
        let location: JSONValue = fault.field == "body" ? ["body"] : ["body", .text(fault.field)]
        let detail: JSONValue = ["detail": [["loc": location, "msg": .text(fault.message), "type": .text(fault.type)]]]
        return WholeAnswer(detail, status: .unprocessableContent)
    }

    /// Reads many events; a bad event is rejected alone.
    private func readMany(
        _ head: HTTPRequest, _ bytes: [UInt8], _ key: ByteString, _ missingTime: MissingTime?
    ) throws -> ReadBatch {
        let reader = BatchReader(now: WallClock.now(), idempotencyKey: key, eventsMax: intake.eventsMax, missingTime: missingTime)
        return Self.isLines(head) ? try reader.lines(bytes) : try reader.array(bytes)
    }

    private static func isLines(_ head: HTTPRequest) -> Bool {
        let type = head.headerFields[.contentType]?.lowercased() ?? ""
        return type.hasPrefix("application/x-ndjson") || type.hasPrefix("application/ndjson") || type.hasPrefix("application/jsonl")
    }

    // MARK: - Incoming events

    /// A longer body is searched for its rejected events on a thread of `parsing`.
    private static let longBytes = 64 << 10

    /// Keeps a body that was rejected as a whole.
    /// - Parameter fault: that of a single event; nil if the body could not be read as events.
    /// - Parameter ruled: what rules made of the event.
    private func noteRejected(
        _ answer: WholeAnswer, _ fault: EventFault?, by ruled: RuleEffect?, _ bytes: [UInt8], _ key: ByteString, _ origin: RequestOrigin
    ) {
        if let fault { intake.noteRejected(fault, by: ruled, project: origin.project) }
        guard let fault = fault ?? answer.failure.map({ EventFault("body", $0.message) }) else { return }
        incoming.note(fault, Self.withID(bytes, key, 0), from: origin)
    }

    private func note(
        _ form: Form, _ head: HTTPRequest, _ bytes: [UInt8], _ key: ByteString, _ batch: ReadBatch, _ outcome: AppendOutcome,
        _ origin: RequestOrigin
    ) {
        let ranges: [Range<Int>]
        if outcome.rejected.isEmpty {
            ranges = []
        } else if form == .trackEvent {
            ranges = [0..<bytes.count]
        } else {
            ranges = Self.isLines(head) ? RecordRanges.lines(bytes) : RecordRanges.list(bytes)
        }
        incoming.note(outcome, of: batch, from: origin) { index in
            RejectedEvent.Content(ranges.indices.contains(index) ? Self.withID(Array(bytes[ranges[index]]), key, index) : [])
        }
    }

    /// A rejected event with the id that it would have got under the request's idempotency key: sent again from the file of rejected
    /// events, it is the same event.
    private static func withID(_ event: [UInt8], _ key: ByteString, _ index: Int) -> [UInt8] {
        guard !key.isEmpty, case .object(let members)? = try? JSONParser.parse(event),
            members.allSatisfy({ $0.key != "event_id" || $0.value == .null || $0.value == "" })
        else { return event }
        let id = ByteString(key.bytes + Array("/\(index)".utf8))
        return JSONValue.object(members.filter { $0.key != "event_id" } + [.init("event_id", .string(id))]).encode()
    }

    // MARK: - Answers

    private func answer(_ form: Form, _ outcome: AppendOutcome, _ key: ByteString, _ ruled: RuleEffect?) -> WholeAnswer {
        if form == .trackEvent, let refused = outcome.rejected.first {
            return Self.unprocessable(EventFault("event_type", refused.reason))
        }
        let dropped = Self.dropped(outcome, ruled)
        guard outcome.retry.isEmpty else { return retryLater(outcome, key, dropped) }
        if form == .trackEvent { return WholeAnswer(["status": "success", "message": "Event recorded successfully"]) }
        return WholeAnswer(
            .object([.init("accepted", .count(outcome.accepted))] + dropped + [.init("rejected", Self.rejected(outcome))]))
    }

    /// The number of accepted events that rules have dropped, as a member of an answer; none if it is 0.
    private static func dropped(_ outcome: AppendOutcome, _ ruled: RuleEffect?) -> [JSONValue.Member] {
        let count = ruled?.settled(outcome) ?? 0
        return count == 0 ? [] : [.init("dropped", .count(count))]
    }

    private static func rejected(_ outcome: AppendOutcome) -> JSONValue {
        .array(outcome.rejected.map { ["index": .count($0.row), "reason": .text($0.reason)] })
    }

    /// The answer if some events are not stored. Under a key an event's id is its index in the request, so part of the request
    /// would be other events: then `retry` is left out.
    private func retryLater(_ outcome: AppendOutcome, _ key: ByteString, _ dropped: [JSONValue.Member]) -> WholeAnswer {
        let advice = key.isEmpty ? "those of \"retry\" again" : "the whole request again under the same Idempotency-Key"
        let reasons = intake.router.reasons(of: outcome.shards).joined(separator: "; ")
        var body: [JSONValue.Member] = [.init("accepted", .count(outcome.accepted))] + dropped
        if key.isEmpty { body.append(.init("retry", .array(outcome.retry.map { .count($0) }))) }
        body += [
            .init("shards", .array(outcome.shards.map { .text($0) })), .init("rejected", Self.rejected(outcome)),
            .init("detail", .text("some events are not stored: send \(advice) (\(reasons))")),
        ]
        return WholeAnswer(.object(body), status: .serviceUnavailable, headers: [.retryAfter: "1"])
    }
}

extension Sender {
    init(_ principal: KeyRing.Principal) { self.init(project: principal.project, isNameRateFree: principal.role == .admin) }
}

extension HTTPFields {
    /// The header by which a sender sees which rules its events met.
    init(revisionOf tables: RuleTables) {
        self.init()
        append(HTTPField(name: .rulesRevision, value: "\(tables.revision)"))
    }
}

extension HTTPField.Name {
    fileprivate static let rulesRevision = HTTPField.Name("sluice-rules-revision")!
    fileprivate static let ceSpecVersion = HTTPField.Name("ce-specversion")!
}
