import FunnelEdge
import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import HTTPTypes
import Hummingbird

/// The HTTP face of ingest: JSON in, JSON out.
struct IngestRoutes {
    let intake: Intake
    let door: KeyDoor
    let bodies: EdgeBodies

    func add(to router: EdgeRouter) {
        router.post("/track-event") { request, context in try await trackEvent(request, context) }
        router.post("/v1/events") { request, context in try await events(request, context) }
    }

    /// One event; errors in the shape of the seed: 422 with `detail: [{loc, msg, type}]`.
    private func trackEvent(_ request: Request, _ context: EdgeContext) async throws -> Response {
        let principal = try door.admit(request, for: .write)
        let key = try Self.key(of: request)
        let bytes = try await bodies.with(principal.project, context) { try await EdgeBody.read(request, limit: 1 << 20, lease: $0) }
        do {
            var event = try EventReader(now: WallClock.now()).read(bytes)
            if !key.isEmpty, event.id.isEmpty { event.id = BatchReader(now: 0, idempotencyKey: key, eventsMax: 1).id(0) }
            let read = ReadBatch(batch: EventBatchBuilder([event]).finish(), index: [0], rejected: [])
            let outcome = try await intake.store(read, delivery: nil, project: principal.project, logger: context.logger)
            if let refused = outcome.rejected.first { return Self.unprocessable(EventFault("event_type", refused.reason)) }
            guard outcome.retry.isEmpty else { return retryLater(outcome, key) }
        } catch let error as JSONError {
            let fault = EventFault("body", error.description, "json_invalid")
            intake.noteRejected(fault, project: principal.project, logger: context.logger)
            return Self.unprocessable(fault)
        } catch let fault as EventFault {
            intake.noteRejected(fault, project: principal.project, logger: context.logger)
            return Self.unprocessable(fault)
        }
        return EdgeResponse.json(["status": "success", "message": "Event recorded successfully"])
    }

    private static func unprocessable(_ fault: EventFault) -> Response {
        let location: JSONValue = fault.field == "body" ? ["body"] : ["body", .text(fault.field)]
        let detail: JSONValue = ["detail": [["loc": location, "msg": .text(fault.message), "type": .text(fault.type)]]]
        return EdgeResponse.json(detail, status: .unprocessableContent)
    }

    /// Many events: one bad event never costs its batch.
    private func events(_ request: Request, _ context: EdgeContext) async throws -> Response {
        let principal = try door.admit(request, for: .write)
        let key = try Self.key(of: request)
        return try await bodies.with(principal.project, context) { lease in
            try await events(request, key, principal.project, context, lease)
        }
    }

    private static func key(of request: Request) throws -> ByteString {
        let key = ByteString(request.headers[.idempotencyKey] ?? "")
        guard key.count <= Limits.idempotencyKeyBytes else {
            throw ProtocolError(.invalidQuery, "Idempotency-Key has \(key.count) bytes; the limit is \(Limits.idempotencyKeyBytes)")
        }
        return key
    }

    private func events(
        _ request: Request, _ key: ByteString, _ project: UInt32, _ context: EdgeContext, _ lease: BodyLease
    ) async throws -> Response {
        let bytes = try await EdgeBody.read(request, limit: intake.bodyBytesMax, lease: lease)
        let reader = BatchReader(now: WallClock.now(), idempotencyKey: key, eventsMax: intake.eventsMax)
        let type = request.headers[.contentType]?.lowercased() ?? ""
        let isLines = type.hasPrefix("application/x-ndjson") || type.hasPrefix("application/ndjson") || type.hasPrefix("application/jsonl")
        let read = isLines ? try reader.lines(bytes) : try reader.array(bytes)
        let outcome = try await intake.store(read, delivery: nil, project: project, logger: context.logger)
        guard outcome.retry.isEmpty else { return retryLater(outcome, key) }
        let rejected = outcome.rejected.map { row -> JSONValue in ["index": .count(row.row), "reason": .text(row.reason)] }
        return EdgeResponse.json(["accepted": .count(outcome.accepted), "rejected": .array(rejected)])
    }

    /// Under a key an event's id is its place in the request, so a part of it sent again would be other events: it is not
    /// told which ones to send.
    private func retryLater(_ outcome: AppendOutcome, _ key: ByteString) -> Response {
        let rejected = outcome.rejected.map { row -> JSONValue in ["index": .count(row.row), "reason": .text(row.reason)] }
        let shards: JSONValue = .array(outcome.shards.map { .text($0) })
        let body: JSONValue = key.isEmpty
            ? ["accepted": .count(outcome.accepted), "retry": .array(outcome.retry.map { .count($0) }), "shards": shards, "rejected": .array(rejected)]
            : [
                "accepted": .count(outcome.accepted), "shards": shards, "rejected": .array(rejected),
                "detail": "some events are not stored: send the whole request again under the same Idempotency-Key",
            ]
        return EdgeResponse.json(body, status: .serviceUnavailable, headers: [.retryAfter: "1"])
    }
}
