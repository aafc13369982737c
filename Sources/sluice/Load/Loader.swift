import EventFiles
import FunnelModel
import FunnelProtocol
import RPC
import Synchronization

/// Sends batches to ingest, several at a time, and retries each under the same number until it is completely stored.
struct Loader: Sendable {
    static let rowsPerBatch = 20_000
    static let bytesPerBatch = 4 << 20
    static let inFlight = 4
    private static let attempts = 60
    /// Max attempts before ingest has ever answered: a few seconds, since the address may be wrong.
    private static let firstAttempts = 8

    let client: WireClient
    let producer: UInt64
    let address: String
    private let contact = Contact()

    /// Whether ingest has ever answered, and whether the user was notified that it does not.
    private final class Contact: Sendable {
        private let state = Mutex((isMade: false, isTold: false))

        var isMade: Bool { state.withLock { $0.isMade } }

        func make() { state.withLock { $0.isMade = true } }

        /// True once.
        func tell() -> Bool {
            state.withLock { state in
                defer { state.isTold = true }
                return !state.isTold
            }
        }
    }

    init(client: WireClient, producer: UInt64, address: String) {
        self.client = client
        self.producer = producer
        self.address = address
    }

    struct Batch: Sendable {
        var sequence: UInt64
        var batch: EventBatch
        /// By row, its lines in the file.
        var lines: [FileLines]
    }

    struct Done: Sendable {
        var accepted: Int
        var rejected: [(lines: FileLines, reason: String)]
        var rows: Int
    }

    /// Sends a batch until it is stored. Throws errors that a retry can't help, and the last one after all attempts.
    func send(_ batch: Batch) async throws -> Done {
        let body = Append(producer: producer, sequence: batch.sequence, part: 0, batch: batch.batch).body
        var last = ProtocolError(.shardUnavailable, "not sent")
        for attempt in 0..<Self.attempts {
            do throws(ProtocolError) {
                let answer = try await client.call(.append, body, timeout: .seconds(60))
                contact.make()
                let outcome = try decoding("append result") { () throws(ByteError) in try AppendOutcome(body: answer) }
                if outcome.retry.isEmpty {
                    return Done(
                        accepted: outcome.accepted, rejected: outcome.rejected.map { (batch.lines[$0.row], $0.reason) },
                        rows: batch.lines.count)
                }
                last = ProtocolError(.shardUnavailable, "no answer from \(outcome.shards.joined(separator: ", "))")
            } catch {
                guard error.retryable else { throw Failure(error) }
                last = error
            }
            if !contact.isMade, attempt + 1 >= Self.firstAttempts {
                throw Failure("nothing was loaded: \(address) does not answer: \(last.message.printable)")
            }
            if attempt == 2, contact.tell() { Terminal.note("\(address): \(last.message.printable); trying again") }
            try await Task.sleep(for: .milliseconds(min(2_000, 50 << min(attempt, 6))))
        }
        throw Failure(
            "gave up after \(Self.attempts) attempts: \(last.message.printable). What was stored stays; the same command loads the rest"
        )
    }
}
