import Codec
import EventSDKs
import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// The limits of `deploy/README.md`, "Limits", on real processes: what the sender gets, and what is counted.
    struct LimitServiceTests {
        private static let keys = ["flood", "honest", "bytes", "one", "two", "three", "four", "five", "six"].map {
            "\($0)-key-of-project-1"
        }
        private static let environment = [
            "SLUICE_WRITE_KEYS": (keys + ["2:first-key-of-project-2", "2:second-key-of-project-2"]).joined(separator: ","),
            "SLUICE_READ_KEYS": "read-key-of-project-1", "SLUICE_ADMIN_KEYS": "admin-key-of-project-1",
        ]

        private static func events(_ count: Int, _ prefix: String = "e", value: Int = 0) -> [UInt8] {
            let text = String(repeating: "x", count: value)
            return JSONValue.array(
                (0..<count).map {
                    [
                        "user_id": .text("u\($0)"), "event": "limited", "timestamp": 1_700_000_000, "event_id": .text("\(prefix)\($0)"),
                        "properties": value > 0 ? ["p": .text("\($0)\(text)")] : [:],
                    ]
                }
            ).encode()
        }

        /// The sum of ingest's metrics whose lines begin so.
        private func metric(_ cluster: Cluster, _ prefix: String) async throws -> Double {
            let lines = try await HTTP.call("GET", cluster.ingestHTTP, "/metrics").text.split(separator: "\n")
            return lines.filter { $0.hasPrefix(prefix) }.reduce(0) { $0 + (Double($1.split(separator: " ").last ?? "") ?? 0) }
        }

        private func limited(_ limit: String) -> String { #"sluice_ingest_limited_total{limit="\#(limit)"}"# }
        private func refused(_ reason: String) -> String { #"sluice_http_refused_total{reason="\#(reason)"}"# }

        private func post(
            _ cluster: Cluster, _ body: [UInt8], path: String = "/v1/events", key: Int = 1, from source: String? = nil,
            headers: [String: String] = [:]
        ) async throws -> HTTP.Answer {
            let all = ["Content-Type": "application/json", "Authorization": "Bearer \(Self.keys[key])"].merging(headers) { $1 }
            return try await PlainHTTP.call("POST", cluster.ingestHTTP, path, body: body, headers: all, from: source)
        }

        /// Checks an answer that names a limit, and that it was counted.
        private func expect(
            _ answer: HTTP.Answer, _ status: Int, _ type: String, _ limit: String, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let isNamed = answer.json["limit"] == .text(limit) && answer.headers["sluice-limit"] == limit
            #expect(
                answer.status == status && answer.json["type"] == .text("urn:sluice:\(type)") && isNamed,
                "\(answer.status) \(answer.headers) \(answer.text)", sourceLocation: sourceLocation)
        }

        // MARK: - Sizes and times

        @Test func sizesAndTimesOfARequest() async throws {
            let limits = [
                "SLUICE_BODY_MB": "1", "SLUICE_EVENTS_PER_REQUEST": "50", "SLUICE_HEADER_KB": "8", "SLUICE_HEAD_SECONDS": "2",
                "SLUICE_BODY_SECONDS_MAX": "2", "SLUICE_CONNECTIONS_PER_ADDRESS": "8", "SLUICE_EVENT_NAMES_MAX": "5",
                "SLUICE_PROPERTY_KEYS_MAX": "4",
            ]
            try await Cluster.with(shards: 1, environment: Self.environment.merging(limits) { $1 }) { cluster in
                let large = [UInt8](repeating: 32, count: 1 << 20 + 1_000)
                let bomb = try #require(Gzip.encode([UInt8](repeating: 32, count: 8 << 20)))
                // The sender reads the answer although it sends the whole body first.
                expect(try await post(cluster, large), 413, "too_large", "body_mb")
                expect(try await post(cluster, bomb, headers: ["Content-Encoding": "gzip"]), 413, "too_large", "body_mb")
                expect(try await post(cluster, Self.events(51)), 413, "too_large", "events_per_request")
                #expect(try await metric(cluster, limited("body_mb")) == 2)
                #expect(try await metric(cluster, limited("events_per_request")) == 1)
                #expect(try await metric(cluster, refused("too_large")) == 3)
                #expect(try await post(cluster, Self.events(50)).json["accepted"] == 50)

                // Above 80 KiB the decoder gives up by itself.
                for bytes in [9 << 10, 100 << 10] {
                    let answer = try await post(cluster, Self.events(1), headers: ["X-Long": String(repeating: "a", count: bytes)])
                    expect(answer, 431, "head_too_large", "header_kb")
                }
                #expect(try await metric(cluster, refused("head")) == 2)

                let begun = try await PlainHTTP.exchange("POST /v1/events HTTP/1.1\r\nHost: loc", with: cluster.ingestHTTP)
                #expect(begun == "")
                #expect(try await metric(cluster, refused("slow_head")) >= 1)
                let head =
                    "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(Self.keys[1])\r\nContent-Length: 100\r\n\r\n"
                let slow = try await PlainHTTP.exchange(head + "[", with: cluster.ingestHTTP)
                #expect(slow.hasPrefix("HTTP/1.1 408 ") && slow.contains("urn:sluice:request_timeout"), "\(slow)")
                #expect(try await metric(cluster, refused("slow")) == 1)

                var open: [OpenRequest] = []
                defer { for connection in open { connection.close() } }
                for _ in 0..<200 where try await metric(cluster, "sluice_http_connections_displaced_total") == 0 {
                    open.append(try OpenRequest(to: cluster.ingestHTTP, from: "127.6.0.1"))
                }
                #expect(try await metric(cluster, "sluice_http_connections_displaced_total") > 0)

                var last = 0
                for _ in 0..<20 where last != 429 {
                    let wrong = ["Authorization": "Bearer wrong-key-of-nobody"]
                    let answer = try await post(cluster, Self.events(1), from: "127.6.0.2", headers: wrong)
                    last = answer.status
                    #expect(last == 401 || answer.json["type"] == "urn:sluice:not_authenticated" && answer.headers["sluice-limit"] == nil)
                }
                #expect(last == 429)
                #expect(try await metric(cluster, refused("guesses")) == 1)
                #expect(try await metric(cluster, refused("rate")) == 0)
                try await limitsOfEvents(cluster)
                try await limitsOfAProject(cluster)
            }
        }

        /// An event over one of the fixed limits, the start of its reason, and the field that is counted.
        private static let faultyEvents: [(event: String, reason: String, field: String)] = {
            func event(user: String = "u", name: String = "limited", id: String = "", time: String = "1700000000", _ more: String = "")
                -> String
            {
                #"{"user_id":"\#(user)","event":"\#(name)","event_id":"\#(id)","timestamp":\#(time)\#(more)}"#
            }
            func long(_ count: Int) -> String { String(repeating: "x", count: count) }
            func nested(_ depth: Int) -> String {
                String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
            }
            let many = (0..<257).map { #""k\#($0)":1"# }.joined(separator: ",")
            let heavy = (0..<5).map { #""k\#($0)":"\#(long(8_000))""# }.joined(separator: ",")
            return [
                (event(user: long(513)), "user_id: has 513 bytes; the limit is 512", "user_id"),
                (event(name: long(257)), "event: has 257 bytes; the limit is 256", "event"),
                (event(id: long(257)), "event_id: has 257 bytes; the limit is 256", "event_id"),
                (event(#","properties":{"\#(long(257))":1}"#), "properties: a key has 257 bytes; 1 to 256 are allowed", "properties"),
                (event(#","properties":{"k":"\#(long(8_193))"}"#), "properties.k: has 8193 bytes; the limit is 8192", "properties"),
                (event(#","properties":{\#(many)}"#), "properties: must be at most 256", "properties"),
                (event(#","properties":{\#(heavy)}"#), "properties: must take at most 32768 bytes", "properties"),
                (event(#","properties":\#(nested(17))"#), "properties: must not be nested deeper than 16", "properties"),
                (event(#","more":\#(nested(65))"#), "body: malformed JSON", "body"),
                (event(time: #""2999-01-01T00:00:00Z""#), "timestamp: ", "timestamp"),
                (event(time: "5"), "timestamp: ", "timestamp"),
            ]
        }()

        private func limitsOfEvents(_ cluster: Cluster) async throws {
            for (event, reason, field) in Self.faultyEvents {
                let counter = #"sluice_ingest_events_rejected_total{project="1",reason="\#(field)"}"#
                let before = try await metric(cluster, counter)
                let good = #"{"user_id":"u","event":"limited","timestamp":1700000000}"#
                let many = try await post(cluster, Array("[\(good),\(event)]".utf8))
                let rejected = many.json["rejected"]?.asArray ?? []
                #expect(many.status == 200 && many.json["accepted"] == 1 && rejected.count == 1, "\(many.text)")
                #expect(rejected.first?["reason"]?.asString?.string.hasPrefix(reason) == true, "\(many.text)")
                let one = try await post(cluster, Array(event.utf8), path: "/track-event")
                #expect(one.status == 422 && one.json["detail"]?.asArray?.count == 1, "\(one.text)")
                #expect(try await metric(cluster, counter) == before + 2, "\(field)")
            }
        }

        private func limitsOfAProject(_ cluster: Cluster) async throws {
            // One name is there already.
            let events = (0..<6).map { #"{"user_id":"u","event":"n\#($0)","timestamp":1700000000,"properties":{"k\#($0)":1}}"# }
            let answer = try await post(cluster, Array("[\(events.joined(separator: ","))]".utf8))
            #expect(answer.json["accepted"] == 4 && answer.json["rejected"]?.asArray?.count == 2, "\(answer.text)")
            #expect(answer.text.contains("event_names_max: "))
            #expect(try await metric(cluster, #"sluice_ingest_events_rejected_total{project="1",reason="limit"}"#) == 2)
            #expect(try await cluster.metric(#"sluice_store_rows_rejected_total{reason="event_names_max"}"#) == 2)
        }

        // MARK: - Memory

        @Test func memoryOfBodiesAndOnTheWayToShards() async throws {
            let limits = ["SLUICE_BODIES_MB": "2", "SLUICE_IN_FLIGHT_MB": "1"]
            try await Cluster.with(shards: 1, environment: Self.environment.merging(limits) { $1 }) { cluster in
                // Half of the memory is for one project.
                let answer = try await post(cluster, [UInt8](repeating: 32, count: 1_400_000))
                expect(answer, 503, "overloaded", "bodies_mb")
                #expect(answer.headers["retry-after"] == "1")
                #expect(try await metric(cluster, limited("bodies_mb")) == 1)

                kill(cluster.pid("shard-0"), SIGSTOP)
                defer { kill(cluster.pid("shard-0"), SIGCONT) }
                async let first = post(cluster, Self.events(50, "first", value: 8_000), from: "127.6.1.1")
                for _ in 0..<2_000 {
                    if try await metric(cluster, "sluice_ingest_in_flight_bytes") > 0 { break }
                    try await Task.sleep(for: .milliseconds(5))
                }
                expect(try await post(cluster, Self.events(50, "second", value: 8_000)), 503, "overloaded", "in_flight_mb")
                #expect(try await metric(cluster, limited("in_flight_mb")) == 1)
                kill(cluster.pid("shard-0"), SIGCONT)
                #expect(try await first.json["accepted"] == 50)
            }
        }

        // MARK: - Rates

        /// Rates so low that a test does not wait for them; 100 s of them may be sent at once.
        private static let rates = [
            "SLUICE_RATE_BURST_SECONDS": "100", "SLUICE_KEY_EVENTS_PER_SECOND": "1", "SLUICE_KEY_KB_PER_SECOND": "1",
            "SLUICE_ADDRESS_EVENTS_PER_SECOND": "2", "SLUICE_ADDRESS_KB_PER_SECOND": "2", "SLUICE_ROWS_PER_DAY_MAX": "2000",
        ]

        private func expectRate(
            _ answer: HTTP.Answer, _ limit: String, _ cluster: Cluster, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            expect(answer, 429, "rate_limited", limit, sourceLocation: sourceLocation)
            #expect((answer.headers["retry-after"].flatMap { Int($0) } ?? 0) >= 1, sourceLocation: sourceLocation)
            #expect(try await metric(cluster, limited(limit)) >= 1, sourceLocation: sourceLocation)
        }

        @Test func ratesByKeyAndByAddress() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment.merging(Self.rates) { $1 }) { cluster in
                func accepted(_ answer: HTTP.Answer, _ count: Int64, sourceLocation: SourceLocation = #_sourceLocation) {
                    let isStored = answer.status == 200 && answer.json["accepted"] == .integer(count)
                    #expect(isStored, "\(answer.text)", sourceLocation: sourceLocation)
                }
                // Events of a key. More than a burst passes, and is owed; a short request takes the fast path.
                accepted(try await post(cluster, Self.events(150, "a"), key: 0, from: "127.5.0.1"), 150)
                for (count, value) in [(1, 0), (40, 1_000)] {
                    let flood = try await post(cluster, Self.events(count, "b", value: value), key: 0, from: "127.5.0.1")
                    try await expectRate(flood, "key_events_per_second", cluster)
                }
                let single = Array(#"{"user_id":"u","event":"limited","timestamp":1700000000}"#.utf8)
                let track = try await post(cluster, single, path: "/track-event", key: 0, from: "127.5.0.1")
                try await expectRate(track, "key_events_per_second", cluster)
                // An honest key beside it, from the same address.
                accepted(try await post(cluster, Self.events(1, "c"), key: 1, from: "127.5.0.1"), 1)

                // A short request whose claims make too many rows for the fast path is charged once.
                let claims = (0..<110).map {
                    #"{"user_id":"c\#($0)","anonymous_id":"a\#($0)","event":"e","timestamp":1700000000}"#
                }
                accepted(try await post(cluster, Array("[\(claims.joined(separator: ","))]".utf8), key: 8, from: "127.5.0.8"), 110)

                // Bytes of a key.
                accepted(try await post(cluster, Self.events(15, "d", value: 8_000), key: 2, from: "127.5.0.2"), 15)
                try await expectRate(
                    try await post(cluster, Self.events(1, "e"), key: 2, from: "127.5.0.2"), "key_kb_per_second", cluster)

                // Events of an address, with several keys.
                for key in 3...4 { accepted(try await post(cluster, Self.events(90, "f\(key)-"), key: key, from: "127.5.0.3"), 90) }
                let third = try await post(cluster, Self.events(90, "g"), key: 5, from: "127.5.0.3")
                try await expectRate(third, "address_events_per_second", cluster)
                accepted(try await post(cluster, Self.events(90, "g"), key: 5, from: "127.5.0.30"), 90)

                // Bytes of an address. They are asked before the key.
                for key in 6...7 {
                    let large = Self.events(12, "h\(key)-", value: 7_900)
                    accepted(try await post(cluster, large, key: key, from: "127.5.0.4"), 12)
                }
                let noKey = ["Authorization": "Bearer wrong-key-of-nobody"]
                let wrong = try await post(cluster, Self.events(12, "i", value: 7_900), from: "127.5.0.4", headers: noKey)
                try await expectRate(wrong, "address_kb_per_second", cluster)
                #expect(try await metric(cluster, refused("rate")) == 6)
                #expect(try await metric(cluster, refused("guesses")) == 0)
                #expect(try await metric(cluster, "sluice_ingest_events_accepted_total") == 150 + 1 + 110 + 15 + 270 + 24)
            }
        }

        @Test func eventsOfADayAlsoAfterARestart() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment.merging(Self.rates) { $1 }) { cluster in
                let day = Int(Date().timeIntervalSince1970) / 86_400
                func send(_ count: Int, _ key: String, from source: String) async throws -> HTTP.Answer {
                    try await post(cluster, Self.events(count, key), from: source, headers: ["Authorization": "Bearer \(key)"])
                }
                // The request that reaches the limit is stored whole.
                let first = try await send(2_100, "first-key-of-project-2", from: "127.5.1.1")
                #expect(first.json["accepted"] == 2_100, "\(first.text)")
                try await refuses(try await send(1, "second-key-of-project-2", from: "127.5.1.2"), day, cluster)
                #expect(try await metric(cluster, "sluice_ingest_rows_per_day_max_used_ratio") == 1.05)
                #expect(try await post(cluster, Self.events(1), from: "127.5.1.3").status == 200)

                try await cluster.stop()
                try await cluster.start()
                try await refuses(try await send(1, "second-key-of-project-2", from: "127.5.1.2"), day, cluster)
            }
        }

        private func refuses(_ answer: HTTP.Answer, _ day: Int, _ cluster: Cluster) async throws {
            // A test that runs over midnight has nothing to see.
            guard day == Int(Date().timeIntervalSince1970) / 86_400 else { return }
            try await expectRate(answer, "rows_per_day_max", cluster)
            #expect((1...86_400).contains(answer.headers["retry-after"].flatMap { Int($0) } ?? 0))
        }

        /// One endpoint for each product, with a body.
        private static let samples = SDKProduct.allCases.compactMap { product in
            SDKEndpoint.all.first { $0.takesEvents && $0.product == product && $0.method == .post }
        }

        @Test func everySDKIsToldInItsOwnWords() async throws {
            let statuses: [SDKProduct: Int] = [
                .segment: 429, .posthog: 503, .mixpanel: 429, .amplitude: 429, .snowplow: 429, .cloudEvents: 429,
            ]
            try await Cluster.with(shards: 1, environment: Self.environment.merging(Self.rates) { $1 }) { cluster in
                let flood = try await post(cluster, Self.events(200, "flood"), key: 0, from: "127.5.2.1")
                #expect(flood.status == 200, "\(flood.text)")
                for (number, endpoint) in Self.samples.enumerated() {
                    let place = try #require(endpoint.keys.first)
                    let event = try #require(SDKCall.event(endpoint.call, user: "u", id: "id"))
                    let form = try #require(endpoint.bodies.contains(.json) ? .json : endpoint.bodies.first)
                    for key in [Self.keys[0], Self.keys[1]] {
                        let call = try SDKCall(endpoint, [event], as: form, key: .init(place: place, text: key))
                        let answer = try await call.send(to: cluster, from: "127.5.3.\(number + 1)")
                        guard key == Self.keys[0] else {
                            #expect(answer.status == 200 && answer.headers["sluice-limit"] == nil, "\(answer.text)")
                            continue
                        }
                        let wait = try #require(answer.headers["retry-after"].flatMap { Int($0) })
                        let fault = SDKFault.rateLimited(retryAfter: wait, limit: "key_events_per_second")
                        #expect(answer.headers["sluice-limit"] == "key_events_per_second" && wait >= 1)
                        if endpoint.product == .amplitude {
                            #expect(answer.status == 429 && answer.json["throttled_events"] == [0], "\(answer.text)")
                        } else {
                            #expect(call.isRefused(answer, for: fault, status: statuses[endpoint.product]), "\(answer.text)")
                        }
                    }
                }
                #expect(try await metric(cluster, limited("key_events_per_second")) == Double(Self.samples.count))
                #expect(try await metric(cluster, refused("rate")) == Double(Self.samples.count))
            }
        }
    }
}
