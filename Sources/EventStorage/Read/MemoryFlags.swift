import FunnelModel
import Synchronization

/// A bit for each row of the memtable's batches, in the order of arrival: whether it meets some conditions. Batches are read
/// whole, since the rows of a scan are spread over them.
struct MemoryFlags: Sendable {
    private let words: [UInt64]
    /// The first bit of each batch, aligned to a word.
    private let starts: [Int]
    private let firstBatch: UInt32

    /// Tests the rows of some event names.
    /// - Parameter names: project codes of the names whose flags are needed.
    init(_ memtable: Memtable, names: Set<UInt32>, _ conditions: [Predicate]) {
        firstBatch = memtable.firstBatch
        var starts: [Int] = []
        var words: [UInt64] = []
        for stored in memtable.batches {
            starts.append(words.count * 64)
            let isWanted = stored.names.map(names.contains)
            var flags = stored.batch.name.map { isWanted[Int($0)] ? UInt8(1) : 0 }
            for condition in conditions { Self.check(stored.batch, condition, &flags) }
            for from in stride(from: 0, to: flags.count, by: 64) {
                var word: UInt64 = 0
                for i in from..<min(from + 64, flags.count) { word |= UInt64(flags[i]) &<< UInt64(i & 63) }
                words.append(word)
            }
        }
        self.starts = starts
        self.words = words
    }

    /// 1 if the row meets the conditions, else 0.
    func flag(batch: UInt32, row: UInt32) -> UInt8 {
        let at = starts[Int(batch &- firstBatch)] &+ Int(row)
        return UInt8(words[at &>> 6] &>> UInt64(at & 63) & 1)
    }

    /// Clears the flags of rows of a batch that do not meet a condition. Each string of the batch is tested once.
    private static func check(_ batch: EventBatch, _ condition: Predicate, _ flags: inout [UInt8]) {
        let absent: UInt8 = condition.accepts(nil) ? 1 : 0
        guard let key = batch.code(ofKey: condition.property) else {
            if absent == 0 { flags = [UInt8](repeating: 0, count: flags.count) }
            return
        }
        let (string, unknown): (UInt8, UInt8) = (EventBatch.Tag.string, 2)
        let (text, strings) = (TextTest(condition), batch.strings.heap.span)
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
                if known[code] == unknown { known[code] = text.accepts(strings.extracting(batch.strings.range(code))) ? 1 : 0 }
                flags[row] = known[code]
            }
        }
    }
}

/// The flags of each list of conditions of a query, made once for all of its threads.
final class MemoryTests: Sendable {
    private let made = Mutex<[(conditions: [Predicate], flags: MemoryFlags)]>([])

    /// The flags of a list of conditions; `make` runs only for the first thread that needs them.
    func flags(_ conditions: [Predicate], _ make: () -> MemoryFlags) -> MemoryFlags {
        made.withLock { made in
            if let known = made.first(where: { $0.conditions == conditions }) { return known.flags }
            made.append((conditions, make()))
            return made[made.count - 1].flags
        }
    }
}
