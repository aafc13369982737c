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

    init(client: WireClient, producer: UInt64) {
        self.client = client
        self.producer = producer
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
            let all = 0..<read.claims.count
            let claims = read.claims.earliest(all.map { read.claims.hash($0, seed: 0) }, among: all)
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
        defer { progress.end() }
        var attempt = 0
        while true {
            let reason: String
            do throws(ProtocolError) {
                let answer = try await client.call(.append, body, timeout: .seconds(60))
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
                guard error.retryable else { throw Failure(error) }
                reason = client.reason(error)
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
}
