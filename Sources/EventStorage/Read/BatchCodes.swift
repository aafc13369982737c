import FunnelModel

/// The code of one property key in each batch, looked up once per batch.
struct BatchCodes {
    private let key: ByteString
    /// By the batch's number minus that of the memtable's first.
    private var codes: [Code]

    private enum Code {
        case unknown
        case known(UInt32?)
    }

    init(_ key: ByteString, _ memtable: Memtable) {
        self.key = key
        codes = Array(repeating: .unknown, count: memtable.batches.count)
    }

    /// Index of a row's property in the columns of its batch; nil if the row has none.
    mutating func place(_ memtable: Memtable, batch number: UInt32, row: Int) -> Int? {
        let stored = memtable.batch(number)
        let code: UInt32?
        switch codes[Int(number &- memtable.firstBatch)] {
        case .known(let known): code = known
        case .unknown:
            code = stored.batch.code(ofKey: key)
            codes[Int(number &- memtable.firstBatch)] = .known(code)
        }
        guard let code else { return nil }
        return stored.batch.place(ofKey: code, row: row)
    }
}
