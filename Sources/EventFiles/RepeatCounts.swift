import Foundation

/// Counts how often each fingerprint occurs, exactly, in bounded memory. It is a hash table in memory up to 256 MiB; a larger
/// one is in an unlinked temporary file, memory-mapped, whose pages the kernel keeps or writes out.
///
/// Slots have 16 bytes: 96 bits of fingerprint and a count, 0 in free slots. The highest bits of a fingerprint give its slot,
/// so that a larger table is filled in the order in which the smaller one is read and released.
package final class RepeatCounts {
    package static let memoryBytes = 256 << 20
    private static let slotBytes = 16
    /// Further slots after the last one, so that searches need not wrap around.
    private static let spare = 1 << 12
    private static let firstBits = 12

    private var bits: Int
    private var table: Mapping
    private var used = 0
    private let memoryBytes: Int

    /// An empty table; `memoryBytes` is its max size in memory.
    package init(memoryBytes: Int = RepeatCounts.memoryBytes) throws {
        self.memoryBytes = memoryBytes
        bits = Self.firstBits
        table = try Self.map(bits, memoryBytes)
    }

    private static func map(_ bits: Int, _ memoryBytes: Int) throws -> Mapping {
        let bytes = ((1 << bits) + spare) * slotBytes
        return try Mapping(bytes: bytes, inFile: (1 << bits) * slotBytes > memoryBytes)
    }

    /// Counts a fingerprint of 96 bits.
    /// - Returns: how often it was added before.
    package func add(_ high: UInt64, _ low: UInt32) throws -> UInt32 {
        if used >= (1 << bits) / 4 * 3 { try grow() }
        while true {
            if let place = Self.find(high, low, table, bits) {
                let earlier = table.count(place)
                if earlier == 0 {
                    used += 1
                    table.put(place, high, low)
                }
                table.setCount(place, earlier &+ 1)
                return earlier
            }
            try grow()
        }
    }

    /// The slot of a fingerprint, or the free slot for it; nil if the spare slots are full.
    private static func find(_ high: UInt64, _ low: UInt32, _ table: Mapping, _ bits: Int) -> Int? {
        var place = Int(truncatingIfNeeded: high >> UInt64(64 - bits))
        let end = (1 << bits) + spare
        while place < end {
            if table.count(place) == 0 || table.holds(place, high, low) { return place }
            place &+= 1
        }
        return nil
    }

    private func grow() throws {
        let slots = (1 << bits) + Self.spare
        bits += 1
        let larger = try Self.map(bits, memoryBytes)
        for place in 0..<slots {
            let count = table.count(place)
            if count > 0 {
                let (high, low) = table.fingerprint(place)
                guard let target = Self.find(high, low, larger, bits) else { throw FileFault("the table of duplicates is out of order") }
                larger.put(target, high, low)
                larger.setCount(target, count)
            }
            if place % (1 << 16) == (1 << 16) - 1 { table.release(slots: (place + 1 - (1 << 16))..<(place + 1)) }
        }
        table = larger
    }

    /// Slots in memory or in a file without a name.
    private final class Mapping {
        private let base: UnsafeMutableRawPointer
        private let bytes: Int
        private let isFile: Bool
        private var touched = 0

        init(bytes: Int, inFile: Bool) throws {
            var descriptor: Int32 = -1
            if inFile { descriptor = try Self.unnamedFile(bytes) }
            defer { if descriptor >= 0 { close(descriptor) } }
            let flags = inFile ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS
            guard let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0), base != MAP_FAILED else {
                throw FileFault("there is no memory for the table of duplicate rows (\(bytes >> 20) MiB)")
            }
            self.base = base
            self.bytes = bytes
            isFile = inFile
        }

        deinit { munmap(base, bytes) }

        private static func unnamedFile(_ bytes: Int) throws -> Int32 {
            let directory = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
            var path = Array("\(directory)/sluice-rows-\(String(repeating: "X", count: 6))".utf8CString)
            let descriptor = mkstemp(&path)
            guard descriptor >= 0 else { throw FileFault("cannot create a temporary file in \(directory) (TMPDIR)") }
            unlink(path)
            // Allocated as a whole now: otherwise a full disk would kill the process when a page is written.
            guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
                close(descriptor)
                throw FileFault("\(directory) (TMPDIR) has no space for the table of duplicate rows (\(bytes >> 20) MiB)")
            }
            return descriptor
        }

        private func slot(_ place: Int) -> UnsafeMutableRawPointer { base + place * RepeatCounts.slotBytes }

        func count(_ place: Int) -> UInt32 { slot(place).load(fromByteOffset: 12, as: UInt32.self) }

        func holds(_ place: Int, _ high: UInt64, _ low: UInt32) -> Bool {
            let slot = slot(place)
            return slot.load(as: UInt64.self) == high && slot.load(fromByteOffset: 8, as: UInt32.self) == low
        }

        func fingerprint(_ place: Int) -> (UInt64, UInt32) {
            let slot = slot(place)
            return (slot.load(as: UInt64.self), slot.load(fromByteOffset: 8, as: UInt32.self))
        }

        func put(_ place: Int, _ high: UInt64, _ low: UInt32) {
            slot(place).storeBytes(of: high, as: UInt64.self)
            slot(place).storeBytes(of: low, toByteOffset: 8, as: UInt32.self)
        }

        func setCount(_ place: Int, _ count: UInt32) {
            slot(place).storeBytes(of: count, toByteOffset: 12, as: UInt32.self)
            guard isFile else { return }
            // Releases the process's pages now and then; the file keeps them.
            touched += 1
            if touched % (1 << 14) == 0 { madvise(base, bytes, MADV_DONTNEED) }
        }

        /// Releases the memory of slots that are not read again.
        func release(slots: Range<Int>) {
            madvise(slot(slots.lowerBound), slots.count * RepeatCounts.slotBytes, MADV_DONTNEED)
        }
    }
}
