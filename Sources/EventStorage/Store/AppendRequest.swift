import FunnelModel
import Glibc

/// Rows to store, with the name by which a repeat of them is recognised.
package struct AppendRequest: Sendable {
    package var project: UInt32
    let name: DeliveryName
    /// CRC-32C of the client's request; 0 if ingest has numbered the request. A request of the same name with another one is
    /// `.sequenceReused`.
    package var fingerprint: UInt32
    /// Whether it is repeated within a minute or not at all, so that a minute's memory is enough.
    package var isShort: Bool
    /// Whether new names and keys are exempt from the rate limit, as for an operator who loads existing data.
    package var isNameRateFree = false
    /// The batch has all rows of the slice in these buckets, except those in `refused`. nil: the sender does not name
    /// buckets, and the batch has all rows under the name.
    package var buckets: BucketSet?
    /// The rows' numbers in the request; nil: 0, 1, 2, …
    package var numbers: RowNumbers?
    /// Rows of these buckets that ingest has refused for a reason that may pass, such as its clock. They are remembered, so a
    /// repeat gets the same answer.
    package var refused: [RefusedRow]
    package var batch: EventBatch
    /// The fingerprint that release 0.1 would have given the same rows, by which repeats of what 0.1 stored are recognised.
    package var fingerprintOfWhole: (@Sendable () -> UInt32)?

    package struct RefusedRow: Equatable, Sendable {
        package var row: RejectedRow
        package var bucket: Int

        package init(_ row: RejectedRow, bucket: Int) {
            self.row = row
            self.bucket = bucket
        }
    }

    package init(
        project: UInt32, producer: UInt64, sequence: UInt64, part: UInt32, isShort: Bool = false, fingerprint: UInt32 = 0,
        buckets: BucketSet? = nil, numbers: RowNumbers? = nil, refused: [RefusedRow] = [], batch: EventBatch
    ) {
        self.project = project
        name = DeliveryName(producer: producer, sequence: sequence, part: part)
        self.fingerprint = fingerprint
        self.isShort = isShort
        self.buckets = buckets
        self.numbers = numbers
        self.refused = refused
        self.batch = batch
    }

    /// A row's number in the request.
    func number(_ row: Int) -> Int { numbers.map { $0[row] } ?? row }

    /// Whether the row of this number is in the batch or among the refused.
    func holds(number: Int) -> Bool {
        (numbers.map { $0.contains(number) } ?? (0..<batch.count).contains(number)) || refused.contains { $0.row.row == number }
    }
}

/// A row that was not stored, by its number in the request.
package struct RejectedRow: Equatable, Sendable {
    package enum Code: UInt8, Sendable, CaseIterable {
        case tooManyEventNames = 1
        /// Used before 0.2 only; since then the property is left out.
        case tooManyPropertyKeys = 2
        case tooManyUsers = 3
        case eventNamesTooFast = 4
        /// Too far ahead of the clock of the ingest that took the request first.
        case timeAhead = 5
    }

    package var row: Int
    package var code: Code

    package init(row: Int, code: Code) {
        self.row = row
        self.code = code
    }
}

/// The result of an append; a repeat gets the counts and rows of the first time.
package struct AppendResult: Equatable, Sendable {
    package var accepted: Int
    package var rejected: [RejectedRow]
    package var repeated: Bool

    package init(accepted: Int, rejected: [RejectedRow] = [], repeated: Bool = false) {
        self.accepted = accepted
        self.rejected = rejected
        self.repeated = repeated
    }
}
