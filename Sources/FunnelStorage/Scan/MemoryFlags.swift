import FunnelModel
import Synchronization

/// Which rows of the memtable meet some conditions: a bit for each row of its batches, in the order of arrival. Batches
/// are read from front to back, since the rows that a scan asks for lie all over them.
struct MemoryFlags: Sendable {
    private let words: [UInt64]
    /// The first bit of each batch.
    private let starts: [Int]
    private let firstBatch: UInt32

    /// - Parameter names: project codes of the event names whose rows will be asked for.
    init(_ memtable: Memtable, names: Set<UInt32>, _ conditions: [Predicate]) {
        firstBatch = memtable.firstBatch
        var starts: [Int] = []
        var words = [UInt64](repeating: 0, count: memtable.rows / 64 + 1)
        var start = 0
        for stored in memtable.batches {
            starts.append(start)
            let isWanted = stored.names.map(names.contains)
            var flags = stored.batch.name.map { isWanted[Int($0)] ? UInt8(1) : 0 }
            for condition in conditions { Self.check(stored.batch, condition, &flags) }
            for i in flags.indices { words[(start + i) >> 6] |= UInt64(flags[i]) << UInt64((start + i) & 63) }
            start += flags.count
        }
        self.starts = starts
        self.words = words
    }

    /// 1 where the row meets the conditions, else 0.
    func flag(batch: UInt32, row: UInt32) -> UInt8 {
        let at = starts[Int(batch &- firstBatch)] &+ Int(row)
        return UInt8(words[at &>> 6] &>> UInt64(at & 63) & 1)
    }

    /// Clears the flags of rows of a batch that do not meet a condition; each string of the batch is looked at once.
    private static func check(_ batch: EventBatch, _ condition: Predicate, _ flags: inout [UInt8]) {
        let absent: UInt8 = condition.accepts(nil) ? 1 : 0
        guard let key = batch.code(ofKey: condition.property) else {
            if absent == 0 { flags = [UInt8](repeating: 0, count: flags.count) }
            return
        }
        let (string, unknown): (UInt8, UInt8) = (EventBatch.Tag.string, 2)
        var known = [UInt8](repeating: unknown, count: batch.strings.count)
        let (start, keys) = (batch.propertyStart.span, batch.propertyKey.span)
        let (tags, bits) = (batch.propertyTag.span, batch.propertyBits.span)
        for row in flags.indices where flags[row] == 1 {
            var p = Int(start[row])
            let end = Int(start[row + 1])
            while p < end, keys[p] != key { p &+= 1 }
            if p == end {
                flags[row] = absent
            } else if tags[p] != string {
                flags[row] = condition.accepts(batch.value(ofProperty: p)) ? 1 : 0
            } else {
                let code = Int(bits[p])
                if known[code] == unknown { known[code] = condition.accepts(text: batch.strings.slice(code)) ? 1 : 0 }
                flags[row] = known[code]
            }
        }
    }
}

/// The flags of each list of conditions of a query, made once for all of its threads.
final class MemoryTests: Sendable {
    private let made = Mutex<[(conditions: [Predicate], flags: MemoryFlags)]>([])

    func flags(_ conditions: [Predicate], _ make: () -> MemoryFlags) -> MemoryFlags {
        made.withLock { made in
            if let known = made.first(where: { $0.conditions == conditions }) { return known.flags }
            made.append((conditions, make()))
            return made[made.count - 1].flags
        }
    }
}
