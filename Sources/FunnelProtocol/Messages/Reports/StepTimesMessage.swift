import FunnelModel

/// The two steps, 1-based, between which a query wants the times.
enum StepTimesMessage {
    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> (from: Int, to: Int) {
        let from = try reader.count(limit: steps, "from")
        let to = try reader.count(limit: steps, "to")
        guard 0 < from, from < to else { throw ByteError(offset: reader.offset, reason: "from step \(from) to step \(to)") }
        return (from, to)
    }
}

extension StepTimes {
    func write(to out: inout ByteWriter) {
        out.varint(skipped)
        times.write(to: &out)
        if let range {
            out.varint(range.lowerBound)
            out.varint(range.upperBound - range.lowerBound)
        }
    }

    /// Reads the times.
    /// - Parameter entered: the users who entered; there are no more times than that.
    static func read(_ reader: inout ByteReader, entered: UInt64) throws(ByteError) -> StepTimes {
        let start = reader.offset
        let skipped = try reader.varint("skipped")
        let times = try TimeSummary.read(&reader)
        guard skipped <= entered, times.count <= entered - skipped else {
            throw ByteError(offset: start, reason: "\(times.count) times and \(skipped) skipped of \(entered) users")
        }
        if times.count == 0 { return StepTimes(times: times, skipped: skipped) }
        let least = try reader.varint("min time")
        let (greatest, overflow) = least.addingReportingOverflow(try reader.varint("range of times"))
        guard !overflow, times.values.lie(in: least, greatest) else {
            throw ByteError(offset: start, reason: "times are not from \(least) to \(greatest)")
        }
        return StepTimes(times: times, range: least...greatest, skipped: skipped)
    }
}

extension TimeSummary.Values {
    /// Whether these are the min and max of the values; in a histogram, whether they are in its first and last bucket.
    fileprivate func lie(in least: UInt64, _ greatest: UInt64) -> Bool {
        switch self {
        case .exact(let lists): lists.compactMap(\.first).min() == least && lists.compactMap(\.last).max() == greatest
        case .histogram(let buckets):
            buckets.first?.number == TimeHistogram.bucket(of: least) && buckets.last?.number == TimeHistogram.bucket(of: greatest)
        }
    }
}
