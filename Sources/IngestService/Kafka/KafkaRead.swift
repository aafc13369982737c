import EventRules
import EventSDKs
import FunnelModel
import FunnelProtocol

/// Messages whose payloads were read: their records, and the events of these as rows. Records are numbered over all messages.
///
/// | message | is |
/// |---|---|
/// | a header `ce_specversion`, or a content type `application/cloudevents…` | CloudEvents, as over HTTP |
/// | no payload | nothing |
/// | a list, or an object with a list `events` | native events |
/// | several lines, the first of which is in braces | one native event a line |
/// | everything else | one native event |
///
/// A native event without an id gets `TOPIC/PARTITION/OFFSET` or, of several in a message, `TOPIC/PARTITION/OFFSET/INDEX`. A message that
/// cannot be read is a record that was rejected.
package struct KafkaRead: Sendable {
    private struct Place {
        var message: Int
        /// In the payload.
        var range: Range<Int>
        /// For a CloudEvent: its request and its record there.
        var cloudEvent: (request: Int, record: Int)?
        /// Of a message that cannot be read as what its headers say.
        var product: String?
    }

    /// Rows with the indexes of their records.
    package private(set) var rows: ReadBatch
    private let messages: [KafkaMessage]
    private let places: [Place]
    private let cloudEvents: [SDKRead]

    /// Reads messages.
    /// - Parameters:
    ///   - tables: the normalisation rules of the project; nil if it has none.
    ///   - now: the server's time in microseconds.
    ///   - bytesMax: of a payload.
    ///   - eventsMax: of a message.
    package init(_ messages: [KafkaMessage], rules tables: RuleTables?, now: Int64, bytesMax: Int, eventsMax: Int) throws(ProtocolError) {
        var reader = Reader(now: now, missingTime: tables?.missingTime(at: .events), bytesMax: bytesMax, eventsMax: eventsMax)
        for (index, message) in messages.enumerated() { reader.take(message, index, tables) }
        rows = ReadBatch(reader.scanner.finish())
        if let tables { try rows.apply(tables) }
        rows.append(reader.cloudEvents, first: reader.places.count)
        places = reader.places + reader.cloudPlaces
        cloudEvents = reader.cloudEvents
        self.messages = messages
    }

    /// A record that was rejected, as it came.
    package func content(_ record: Int) -> RejectedEvent.Content {
        guard places.indices.contains(record) else { return RejectedEvent.Content([]) }
        let place = places[record]
        if let (request, record) = place.cloudEvent {
            let found = cloudEvents[request].content(record)
            // In binary mode, a record that cannot be read has no text of its own.
            if !found.bytes.isEmpty { return found }
        }
        return RejectedEvent.Content(Array(messages[place.message].payload[place.range]), product: place.product)
    }

    /// The id of the message that a record came in.
    package func message(_ record: Int) -> String { places.indices.contains(record) ? messages[places[record].message].id : "" }

    /// Leaves only some records, to be stored again.
    package mutating func keep(only records: some Sequence<Int>) {
        let kept = Set(records)
        let rows = self.rows.index.indices.filter { kept.contains(self.rows.index[$0]) }
        var next = ReadBatch(batch: self.rows.batch.gather(rows), index: rows.map { self.rows.index[$0] }, rejected: [])
        next.claims = self.rows.claims.gather(self.rows.claims.indexes.indices.filter { kept.contains(self.rows.claims.indexes[$0]) })
        next.aliases = self.rows.aliases.filter(kept.contains)
        self.rows = next
    }

    // MARK: - One message

    private struct Reader {
        var scanner: EventScanner
        var places: [Place] = []
        var cloudEvents: [SDKRead] = []
        var cloudPlaces: [Place] = []
        let bytesMax: Int
        let eventsMax: Int

        init(now: Int64, missingTime: MissingTime?, bytesMax: Int, eventsMax: Int) {
            scanner = EventScanner(now: now, missingTime: missingTime)
            self.bytesMax = bytesMax
            self.eventsMax = eventsMax
        }

        mutating func take(_ message: KafkaMessage, _ index: Int, _ tables: RuleTables?) {
            let size = message.payload.count
            if size > bytesMax {
                reject(EventFault("body", "the message has \(size) bytes; the limit is \(bytesMax) (body-mb)", "too_long"), message, index)
            } else if let head = message.cloudEventHead {
                takeCloudEvents(message, index, head, tables)
            } else if !message.payload.allSatisfy({ [9, 10, 13, 32].contains($0) }) {
                takeNative(message, index)
            }
        }

        private mutating func reject(_ fault: EventFault, _ message: KafkaMessage, _ index: Int, product: String? = nil) {
            scanner.reject(fault)
            places.append(Place(message: index, range: 0..<message.payload.count, product: product))
        }

        private mutating func takeNative(_ message: KafkaMessage, _ index: Int) {
            let payload = message.payload
            do throws(EventBodyError) {
                takeAll(try JSONElements.ranges(in: payload, member: "events", most: eventsMax), message, index)
            } catch {
                switch error {
                case .tooMany: reject(tooMany, message, index)
                case .noList: takeOne(message, index)
                case .json:
                    let lines = RecordRanges.lines(payload)
                    guard lines.count > 1, payload[lines[0]].isInBraces else { return takeOne(message, index) }
                    if lines.count > eventsMax { reject(tooMany, message, index) } else { takeAll(lines, message, index) }
                }
            }
        }

        private var tooMany: EventFault {
            EventFault("body", "the message has more than \(eventsMax) events, the limit (events-per-request)", "too_long")
        }

        private mutating func takeOne(_ message: KafkaMessage, _ index: Int) {
            let range = ByteOrderMark.length(in: message.payload)..<message.payload.count
            scanner.useID(Array(message.id.utf8))
            scanner.scan(message.payload, range)
            places.append(Place(message: index, range: range))
        }

        private mutating func takeAll(_ ranges: [Range<Int>], _ message: KafkaMessage, _ index: Int) {
            let id = message.id
            for (number, range) in ranges.enumerated() {
                scanner.useID(Array("\(id)/\(number)".utf8))
                scanner.scan(message.payload, range)
                places.append(Place(message: index, range: range))
            }
        }

        private mutating func takeCloudEvents(
            _ message: KafkaMessage, _ index: Int, _ head: SDKRequest, _ tables: RuleTables?
        ) {
            do {
                var read = try SDKRead(head, message.payload, keyInBody: false, eventsMax: eventsMax)
                if let tables { read = read.ruled(by: tables) }
                for record in read.batch.records.indices {
                    cloudPlaces.append(
                        Place(message: index, range: 0..<message.payload.count, cloudEvent: (cloudEvents.count, record)))
                }
                cloudEvents.append(read)
            } catch {
                let reason = (error as? SDKFault)?.description ?? "the message cannot be read"
                reject(EventFault("body", reason), message, index, product: "\(SDKProduct.cloudEvents)")
            }
        }
    }
}

extension KafkaMessage {
    private func text(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// The same message as the head of a request over HTTP; nil if it is no CloudEvent. Header fields of HTTP are percent-encoded, headers
    /// of messages are not (CloudEvents 1.0, Kafka protocol binding).
    fileprivate var cloudEventHead: SDKRequest? {
        if headers.isEmpty { return nil }
        let type = text("content-type")
        guard text("ce_specversion") != nil || type?.lowercased().hasPrefix("application/cloudevents") == true else { return nil }
        var fields: [(name: String, value: String)] = []
        for header in headers {
            let name = header.name.lowercased()
            guard name.hasPrefix("ce_") else { continue }
            fields.append(("ce-" + name.dropFirst(3), percentEncoded(header.value)))
        }
        if let type { fields.append(("content-type", type)) }
        return SDKRequest(.post, "/v1/events", headers: fields)
    }

    /// Bytes that are not ASCII are encoded too, so that the reader finds text that is not UTF-8.
    private func percentEncoded(_ value: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in value {
            if byte > 32, byte < 127, byte != UInt8(ascii: "%") {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

extension ArraySlice<UInt8> {
    /// Whether the text begins with `{` and ends with `}`, but for blanks.
    fileprivate var isInBraces: Bool {
        first { $0 > 32 } == UInt8(ascii: "{") && last { $0 > 32 } == UInt8(ascii: "}")
    }
}

extension ReadBatch {
    /// Appends requests of SDKs, after their rules.
    /// - Parameter first: the index of their first record.
    fileprivate mutating func append(_ requests: [SDKRead], first: Int) {
        if requests.isEmpty { return }
        var first = first
        var batches = [batch]
        var effect = ruled
        for request in requests {
            let rows = request.rows
            batches.append(rows.batch)
            index += rows.index.map { $0 + first }
            rejected += rows.rejected.map { ($0.index + first, $0.fault) }
            for (place, record) in rows.claims.indexes.enumerated() { claims.append(rows.claims[place], index: record + first) }
            if let ruled = rows.ruled {
                effect = effect ?? RuleEffect()
                effect?.changed += ruled.changed
                effect?.dropped += ruled.dropped.map { $0 + first }
                effect?.rejected += ruled.rejected.map { $0 + first }
            }
            first += request.batch.records.count
        }
        batch = EventBatch.joined(batches.filter { $0.count > 0 })
        ruled = effect
    }
}
