#if Kafka
    import CRdkafka
    import FunnelModel
    import Glibc
    import Logging
    import RPC

    /// A consumer of librdkafka: a thin layer that turns its calls into Swift values.
    ///
    /// Unchecked: `handle` is set once in `init`; librdkafka's calls are safe on any thread. `isFatal` and the callbacks but `log` are used
    /// only by the one thread that calls `poll` and `close`.
    final class KafkaClient: @unchecked Sendable {
        /// What a call of `poll` gives.
        enum Polled {
            case nothing, message(KafkaMessage)
        }

        /// Called by `poll` and `close`.
        struct Callbacks {
            /// The group gives partitions to this consumer.
            var assigned: ([KafkaPartition]) -> Void
            /// The group takes partitions away.
            var revoked: (_ partitions: [KafkaPartition], _ isLost: Bool) -> Void
            var commitFailed: (String) -> Void
            var brokerFailed: (String) -> Void
        }

        private let logger: Logger
        private let limit = LogLimit()
        private var handle: OpaquePointer?
        var callbacks: Callbacks?
        /// Why the consumer cannot go on; nil if it can.
        private(set) var fatal: String?

        /// Defaults that the file of settings may change.
        private static let defaults: [KafkaSettings.Option] = [
            .init("client.id", "sluice-ingest"), .init("auto.offset.reset", "earliest"), .init("queued.max.messages.kbytes", "16384"),
            .init("log.connection.close", "false"),
        ]

        /// Throws the faults of settings.
        init(_ settings: KafkaSettings, logger: Logger) throws(InvalidDocument) {
            self.logger = logger
            guard let conf = rd_kafka_conf_new() else { throw Self.noMemory }
            let own: [KafkaSettings.Option] = [
                .init("bootstrap.servers", settings.brokers.joined(separator: ",")), .init("group.id", settings.group),
                .init("enable.auto.commit", "false"), .init("enable.auto.offset.store", "false"),
            ]
            var faults: [FieldFault] = []
            var text = [CChar](repeating: 0, count: 512)
            for option in Self.defaults + settings.options + own {
                guard rd_kafka_conf_set(conf, option.name, option.value, &text, text.count) != RD_KAFKA_CONF_OK else { continue }
                faults.append(FieldFault("--kafka-config: \(option.name)", Self.string(text)))
            }
            guard faults.isEmpty else {
                rd_kafka_conf_destroy(conf)
                throw InvalidDocument(faults)
            }
            rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(self).toOpaque())
            rd_kafka_conf_set_rebalance_cb(conf) { _, code, list, opaque in KafkaClient.of(opaque)?.rebalance(code, list) }
            rd_kafka_conf_set_offset_commit_cb(conf) { _, code, _, opaque in KafkaClient.of(opaque)?.committed(code) }
            rd_kafka_conf_set_error_cb(conf) { _, code, reason, opaque in KafkaClient.of(opaque)?.failed(code, reason) }
            rd_kafka_conf_set_log_cb(conf) { handle, level, _, text in
                guard let handle, let text else { return }
                KafkaClient.of(rd_kafka_opaque(handle))?.log(level, String(cString: text))
            }
            guard let made = rd_kafka_new(RD_KAFKA_CONSUMER, conf, &text, text.count) else {
                rd_kafka_conf_destroy(conf)
                throw InvalidDocument([FieldFault("--kafka-brokers", "cannot be used: \(Self.string(text))")])
            }
            handle = made
            // Everything comes by one queue, also what is not for the group.
            rd_kafka_poll_set_consumer(made)
        }

        deinit { if let handle { rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) } }

        private static let noMemory = InvalidDocument([FieldFault("--kafka-brokers", "there is no memory for a Kafka consumer")])

        private static func of(_ opaque: UnsafeMutableRawPointer?) -> KafkaClient? {
            opaque.map { Unmanaged<KafkaClient>.fromOpaque($0).takeUnretainedValue() }
        }

        private static func string(_ text: [CChar]) -> String {
            String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        private static func string(_ code: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2str(code)) }

        // MARK: - Calls

        /// Joins the group.
        /// - Returns: why it could not; nil if it did.
        func subscribe(_ topics: [String]) -> String? {
            with(topics.map { (KafkaPartition($0, -1), nil) }) { list in
                let code = rd_kafka_subscribe(handle, list)
                return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : Self.string(code)
            }
        }

        /// The next message; waits for one, and calls callbacks meanwhile.
        func poll(milliseconds: Int32) -> Polled {
            guard let message = rd_kafka_consumer_poll(handle, milliseconds) else { return .nothing }
            defer { rd_kafka_message_destroy(message) }
            guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                if message.pointee.err != RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    fail(String(cString: rd_kafka_message_errstr(message)))
                }
                return .nothing
            }
            return .message(Self.message(message))
        }

        private static func message(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaMessage {
            let topic = message.pointee.rkt.map { String(cString: rd_kafka_topic_name($0)) } ?? ""
            return KafkaMessage(
                KafkaPartition(topic, message.pointee.partition), message.pointee.offset, headers: headers(message),
                payload: bytes(message.pointee.payload, message.pointee.len))
        }

        private static func headers(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> [KafkaMessage.Header] {
            var list: OpaquePointer?
            guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
            var headers: [KafkaMessage.Header] = []
            var (name, value, size): (UnsafePointer<CChar>?, UnsafeRawPointer?, Int) = (nil, nil, 0)
            while rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR, let name {
                headers.append(.init(String(cString: name), bytes(value, size)))
            }
            return headers
        }

        private static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8] {
            start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) } ?? []
        }

        func pause(_ partitions: [KafkaPartition]) {
            if !partitions.isEmpty { with(partitions.map { ($0, nil) }) { _ = rd_kafka_pause_partitions(handle, $0) } }
        }

        func resume(_ partitions: [KafkaPartition]) {
            if !partitions.isEmpty { with(partitions.map { ($0, nil) }) { _ = rd_kafka_resume_partitions(handle, $0) } }
        }

        /// Sends a commit; if it fails, `poll` calls `commitFailed`.
        func commit(_ offsets: [(partition: KafkaPartition, offset: Int64)]) {
            with(offsets.map { ($0.partition, $0.offset) }) { list in
                let code = rd_kafka_commit(handle, list, 1)
                if code != RD_KAFKA_RESP_ERR_NO_ERROR { committed(code) }
            }
        }

        /// Commits, and waits for the answer of the broker.
        func commit(_ offsets: [(partition: KafkaPartition, offset: Int64)], waitMilliseconds: Int32) {
            guard let queue = rd_kafka_queue_new(handle) else { return }
            defer { rd_kafka_queue_destroy(queue) }
            with(offsets.map { ($0.partition, $0.offset) }) { list in
                let code = rd_kafka_commit_queue(handle, list, queue, nil, nil)
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return committed(code) }
                guard let event = rd_kafka_queue_poll(queue, waitMilliseconds) else { return committed(RD_KAFKA_RESP_ERR__TIMED_OUT) }
                defer { rd_kafka_event_destroy(event) }
                committed(rd_kafka_event_error(event))
            }
        }

        /// The offset after a partition's last message, as the last answer to a fetch had it.
        func knownEnd(of partition: KafkaPartition) -> Int64? {
            var (low, high): (Int64, Int64) = (-1, -1)
            let code = rd_kafka_get_watermark_offsets(handle, partition.topic, partition.number, &low, &high)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
        }

        /// The same from the broker.
        func askedEnd(of partition: KafkaPartition, milliseconds: Int32) -> Int64? {
            var (low, high): (Int64, Int64) = (-1, -1)
            let code = rd_kafka_query_watermark_offsets(handle, partition.topic, partition.number, &low, &high, milliseconds)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
        }

        /// Leaves the group. Nothing else may be called afterwards.
        func close() {
            guard let handle else { return }
            rd_kafka_consumer_close(handle)
            rd_kafka_destroy(handle)
            self.handle = nil
        }

        private func with<T>(_ offsets: [(KafkaPartition, Int64?)], _ body: (OpaqueList) -> T) -> T {
            let list = rd_kafka_topic_partition_list_new(Int32(clamping: offsets.count))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            for (partition, offset) in offsets {
                let place = rd_kafka_topic_partition_list_add(list, partition.topic, partition.number)
                if let offset { place?.pointee.offset = offset }
            }
            return body(list)
        }

        private typealias OpaqueList = UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?

        // MARK: - Callbacks

        private func rebalance(_ code: rd_kafka_resp_err_t, _ list: OpaqueList) {
            let isCooperative = rd_kafka_rebalance_protocol(handle).map { strcmp($0, "COOPERATIVE") == 0 } ?? false
            let partitions = Self.partitions(list)
            switch code {
            case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
                callbacks?.assigned(partitions)
                done(isCooperative ? rd_kafka_incremental_assign(handle, list) : nil)
                if !isCooperative { _ = rd_kafka_assign(handle, list) }
                // A partition that was paused when it was taken away must not stay so.
                resume(partitions)
            case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
                callbacks?.revoked(partitions, rd_kafka_assignment_lost(handle) != 0)
                done(isCooperative ? rd_kafka_incremental_unassign(handle, list) : nil)
                if !isCooperative { _ = rd_kafka_assign(handle, nil) }
            default:
                fail(Self.string(code))
                callbacks?.revoked(partitions, true)
                _ = rd_kafka_assign(handle, nil)
            }
        }

        private func done(_ error: OpaquePointer?) {
            guard let error else { return }
            fail(String(cString: rd_kafka_error_string(error)))
            rd_kafka_error_destroy(error)
        }

        private static func partitions(_ list: OpaqueList) -> [KafkaPartition] {
            guard let list, let first = list.pointee.elems else { return [] }
            return (0..<Int(list.pointee.cnt)).map { KafkaPartition(String(cString: first[$0].topic), first[$0].partition) }
        }

        private func committed(_ code: rd_kafka_resp_err_t) {
            // There was nothing to commit.
            if code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET { return }
            callbacks?.commitFailed(Self.string(code))
        }

        private func failed(_ code: Int32, _ reason: UnsafePointer<CChar>?) {
            let reason = reason.map { String(cString: $0) } ?? ""
            if code == RD_KAFKA_RESP_ERR__FATAL.rawValue {
                var text = [CChar](repeating: 0, count: 512)
                _ = rd_kafka_fatal_error(handle, &text, text.count)
                fatal = Self.string(text)
            }
            fail(reason)
        }

        private func fail(_ reason: String) { callbacks?.brokerFailed(reason) }

        private func log(_ level: Int32, _ text: String) {
            // Levels are those of syslog.
            limit.log(
                logger, level <= 3 ? .error : level == 4 ? .warning : .debug, "librdkafka \(level)", "librdkafka", ["text": "\(text)"])
        }
    }
#endif
