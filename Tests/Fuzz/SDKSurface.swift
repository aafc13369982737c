import Codec
import EventSDKs
import FunnelModel

/// Requests of one product's SDKs. The first byte chooses the endpoint, the second the header fields, the rest of the first line is the
/// query, and the other lines are the body.
enum SDKSurface {
    static func read(_ product: SDKProduct, _ bytes: [UInt8]) {
        guard let endpoints = endpoints[product], bytes.count >= 2 else { return }
        let endpoint = endpoints[place(bytes[0], endpoints.count)]
        let lineEnd = bytes[2...].firstIndex(of: 10) ?? bytes.count
        let query = String(decoding: bytes[2..<lineEnd], as: UTF8.self)
        let request = SDKRequest(
            endpoint.method, endpoint.path, query: query, headers: headers[place(bytes[1], headers.count)],
            body: Array(bytes.dropFirst(lineEnd + 1)))
        _ = SDKEndpoint.owner(of: request)
        _ = endpoint.mayBeGzip(request)
        for keyInBody in [false, true] { check(request, endpoint, keyInBody) }
    }

    private static func check(_ request: SDKRequest, _ endpoint: SDKEndpoint, _ keyInBody: Bool) {
        let first = Reading(request, endpoint, keyInBody)
        let second = Reading(request, endpoint, keyInBody)
        Fuzz.check(first.bytes == second.bytes, "a request is read differently the second time")
        Fuzz.check(first.answer == second.answer, "a request is answered differently the second time")
        Fuzz.check(isValidUTF8(first.answer.body) || first.answer.contentType == "image/gif", "an answer is not UTF-8")
    }

    /// A request read to rows as ingest does it.
    private struct Reading {
        private(set) var bytes: [UInt8] = []
        private(set) var answer: SDKAnswer

        init(_ request: SDKRequest, _ endpoint: SDKEndpoint, _ keyInBody: Bool) {
            do throws(SDKFault) {
                var batch = try endpoint.read(request, now: EventChecks.now, limit: recordsMax, keyInBody: keyInBody)
                Fuzz.check(batch.records.count <= recordsMax, "a request has \(batch.records.count) records")
                bytes = Self.rows(of: &batch)
                answer = endpoint.answer(batch, SDKOutcome(), to: request, now: EventChecks.now)
                let partly = SDKOutcome(rejected: [0: EventFault("event", "x")], retry: [0, 1])
                _ = endpoint.answer(batch, partly, to: request, now: EventChecks.now)
            } catch {
                answer = endpoint.answer(error, to: request)
            }
        }

        private static func rows(of batch: inout SDKBatch) -> [UInt8] {
            let reader = EventReader(now: EventChecks.now)
            var builder = EventBatchBuilder()
            for i in batch.records.indices where batch.records[i].rejected == nil {
                let record = batch.records[i]
                for (place, document) in record.events.enumerated() {
                    do throws(EventFault) {
                        builder.append(try reader.read(document, text: [], 0..<0))
                    } catch {
                        if place == 0 { batch.records[i].rejected = error }
                        break
                    }
                }
                if batch.records[i].rejected == nil { record.claims.forEach(EventChecks.check) }
            }
            let rows = builder.finish()
            EventChecks.check(rows)
            return EventBatchCodec.encode(rows, compressed: false)
        }
    }

    private static let recordsMax = 50

    private static func place(_ byte: UInt8, _ count: Int) -> Int { Int(byte &- UInt8(ascii: "a")) % count }

    /// One of each call and method: paths of one call are read alike.
    private static let endpoints: [SDKProduct: [SDKEndpoint]] = {
        var seen: Set<String> = []
        let all = SDKEndpoint.all.filter { $0.takesEvents && seen.insert("\($0.product) \($0.method) \($0.call)").inserted }
        return Dictionary(grouping: all, by: \.product)
    }()

    private static let headers: [[(name: String, value: String)]] = [
        [("content-type", "application/json"), ("authorization", "Bearer k")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "application/x-ndjson"), ("authorization", "Basic azo=")],
        [("content-type", "text/plain")],
        [("content-type", "application/cloudevents+json")],
        [("content-type", "application/cloudevents-batch+json")],
        [
            ("ce-specversion", "1.0"), ("ce-id", "%31"), ("ce-source", "s"), ("ce-type", "t"), ("ce-subject", "u"),
            ("ce-time", "2026-01-01"),
        ],
        [],
    ]
}
