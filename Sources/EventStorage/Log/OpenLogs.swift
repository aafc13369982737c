import FunnelModel

/// The logs that the manifest in force leaves to be replayed, ascending.
struct OpenLogs<Files: FileSystem> {
    let numbers: [UInt64]
    /// Bytes of all these logs, before one is cut.
    let bytes: Int
    private let directory: String
    private let files: Files
    private let owner: FileOwner
    private let stop: Manifest.StopNote

    /// Throws `.corrupt` if a live log or the log of the clean stop is missing.
    init(_ listing: DirectoryListing, _ manifest: Manifest, _ directory: String, _ files: Files, _ owner: FileOwner) throws(StoreError) {
        let first = manifest.firstLog
        numbers = listing.logs.filter { $0 >= first }
        self.directory = directory
        self.files = files
        self.owner = owner
        stop = manifest.stop
        guard numbers.first == first, let last = numbers.last, last - first == UInt64(numbers.count - 1) else {
            throw .corrupt(
                FileName.log(first), offset: 0, expected: "this log and all later ones", found: "\(numbers.map(FileName.log))")
        }
        guard last >= stop.log else {
            throw .corrupt(FileName.log(stop.log), offset: 0, expected: "the log of a clean stop", found: "none")
        }
        var bytes = 0
        for number in numbers {
            bytes += try io { () throws(FileError) in try files.open("\(directory)/\(FileName.log(number))", .read).size() }
        }
        self.bytes = bytes
    }

    /// Opens one of the logs. All logs before it must have been read, up to the record before `nextRecord`.
    func open(_ number: UInt64, nextRecord: UInt64) throws(StoreError) -> LogReplay<Files.File> {
        let isLast = number == numbers.last
        let place = LogReplay<Files.File>.Place(
            isLast: isLast, end: isLast ? nil : try header(number + 1)?.firstRecord, durable: number == stop.log ? stop.bytes : 0)
        return try LogReplay(file: try file(number), number: number, nextRecord: nextRecord, owner: owner, place: place)
    }

    private func header(_ number: UInt64) throws(StoreError) -> LogHeader? {
        let found = try io { () throws(FileError) in
            try files.open("\(directory)/\(FileName.log(number))", .read).read(at: 0, count: StorageFormat.logHeaderBytes)
        }
        return try LogHeader(found, number: number, owner)
    }

    private func file(_ number: UInt64) throws(StoreError) -> Files.File {
        try io { () throws(FileError) in
            try files.open("\(directory)/\(FileName.log(number))", .read)
        }
    }
}
