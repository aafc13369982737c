import EventFiles
import FunnelModel
import FunnelProtocol
import RPC

/// Sends batches to ingest, several at a time, and retries each under the same number until it is completely stored.
struct Loader: Sendable {
    static let rowsPerBatch = 20_000
    static let bytesPerBatch = 4 << 20
    static let inFlight = 4
    /// Max attempts before ingest has ever answered: a few seconds, since the address may be wrong.
    private static let firstAttempts = 8

    let client: WireClient
    let producer: UInt64
    let progress: LoadProgress
    /// Knows the project whose events are sent again; nil for other loads.
    private let rejected: RejectedLines?

    init(client: WireClient, producer: UInt64, rejected: RejectedLines?) {
        self.client = client
        self.producer = producer
        self.rejected = rejected
        progress = LoadProgress(address: client.address)
    }

    struct Batch: Sendable {
        var sequence: UInt64
        var batch: EventBatch
        /// By row, its lines in the file.
        var lines: [FileLines]
        /// The last rows of the batch, which are no events.
        var claims: Int

        /// The events of a file, with the earliest of equal claims as rows behind them.
        init(_ read: FileBatch, sequence: UInt64) {
            let claims = read.claims.earliest(read.claims.hashes(seed: 0), among: 0..<read.claims.count)
            self.sequence = sequence
            self.claims = claims.count
            lines = read.lines + claims.indexes.map { read.outcomes[$0].lines }
            batch = read.batch
            if !claims.isEmpty { batch.append(few: claims.rows) }
        }
    }

    struct Done: Sendable {
        var accepted: Int
        /// `event` is nil for a claim.
        var rejected: [(lines: FileLines, reason: String, event: Event?)]
        var rows: Int
    }

    /// Sends a batch until it is stored. Throws errors that a retry can't help, and the last one once no batch was stored for
    /// `LoadProgress.patience`.
    func send(_ batch: Batch) async throws -> Done {
        let body = Append(producer: producer, sequence: batch.sequence, part: 0, batch: batch.batch).body
        progress.begin()
        defer { progress.end(batch.sequence) }
        var attempt = 0
        while true {
            let reason: String
            do throws(ProtocolError) {
                let answer = try await client.call(.append, body, project: rejected?.project ?? 0, timeout: .seconds(60))
                progress.reach()
                let outcome = try decoding("append result") { () throws(ByteError) in try AppendOutcome(body: answer) }
                if outcome.retry.isEmpty {
                    progress.store()
                    let events = batch.lines.count - batch.claims
                    let refused = outcome.rejected.count { $0.row >= events }
                    return Done(
                        accepted: outcome.accepted - (batch.claims - refused),
                        rejected: outcome.rejected.filter { batch.lines.indices.contains($0.row) }.map {
                            (batch.lines[$0.row], $0.reason, $0.row < events ? batch.batch.event($0.row) : nil)
                        }, rows: events)
                }
                reason = "no answer from \(outcome.shards.joined(separator: ", "))"
            } catch {
                if attempt == 0, !progress.isReached, let hint = client.hint(error) { throw Failure("nothing was loaded: \(hint)") }
                if error.code == .forbidden, let project = rejected?.project {
                    let reason = client.reason(error).printable
                    throw Failure("the events are of project \(project); give a write key of this project: \(reason)")
                }
                guard error.retryable else { throw Failure(error) }
                reason = client.reason(error)
                if let limit = RateRefusal(error, reason) {
                    try await wait(limit, of: batch.sequence, reason, attempt: attempt)
                    attempt += 1
                    progress.retry(batch.sequence)
                    continue
                }
            }
            progress.fail(reason, attempt: attempt)
            attempt += 1
            if !progress.isReached, attempt >= Self.firstAttempts {
                throw Failure("nothing was loaded: \(client.address) does not answer: \(reason.printable)")
            }
            guard progress.idle < LoadProgress.patience else {
                throw Failure(
                    "gave up, since nothing was stored for \(LoadProgress.patience.components.seconds) s: \(reason.printable). What was "
                        + "stored stays; the same command loads the rest")
            }
            try await Task.sleep(for: .milliseconds(min(2_000, 50 << min(attempt - 1, 6))))
        }
    }

    /// Waits as long as ingest says. Ends the load if a daily limit has been reached, or the first batches would wait for longer than
    /// `LoadProgress.patience`.
    private func wait(_ refusal: RateRefusal, of sequence: UInt64, _ reason: String, attempt: Int) async throws {
        let state = progress.refuse(sequence, for: refusal.wait, reason, attempt: attempt)
        guard refusal.wait > LoadProgress.patience else { return try await Task.sleep(for: refusal.wait) }
        let said = "ingest refuses for \(refusal.limit.rawValue); it takes more in \(refusal.wait.components.seconds) s"
        switch state {
        case .nothingStored: throw Failure("nothing was loaded: \(said)")
        case .partStored where refusal.limit == .rowsPerDay:
            throw Failure("gave up, since \(said). What was stored stays; the same command loads the rest")
        case .partStored: try await Task.sleep(for: refusal.wait)
        // Another batch may be on its way to the shards, and whether it is stored decides.
        case .unknown: try await Task.sleep(for: .milliseconds(200))
        }
    }
}

/// Ingest has refused a batch since its sender exceeds a rate, and takes it after a time.
private struct RateRefusal {
    let limit: RequestLimit
    let wait: Duration

    /// - Parameter reason: the message of the error, which begins with the limit: its name is not a field of errors on the wire.
    init?(_ error: ProtocolError, _ reason: String) {
        guard error.code == .overloaded, let limit = RequestLimit(rawValue: String(reason.prefix { $0 != ":" })), limit.isRate
        else { return nil }
        self.limit = limit
        wait = .milliseconds(max(1_000, Int64(error.retryAfterMilliseconds)))
    }
}
