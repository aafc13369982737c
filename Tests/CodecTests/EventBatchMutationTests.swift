import Codec
import FunnelModel
import TestSupport
import Testing

/// Bytes that are wrong behind a right checksum: what a broken or hostile peer sends.
struct EventBatchMutationTests {
    private static func batch(_ random: inout SplitMix64, rows: Int) -> EventBatch {
        EventBatchBuilder(
            (0..<rows).map { row in
                Event(
                    user: ByteString("user \(random.below(rows))"), name: ByteString("event \(random.below(4))"),
                    time: 1_710_892_800_000_000 + Int64(random.below(1 << 30)), id: ByteString("id \(row)"),
                    properties: [
                        .init("country", .string(random.pick(["NO", "SE", "DK"]))), .init("price", .double(Double(random.below(100)))),
                        .init("n", .integer(Int64(bitPattern: random.next() >> UInt64(random.below(64))))),
                        .init("new", .bool(random.chance(50))),
                    ])
            }
        ).finish()
    }

    /// Ranges of the six sections' contents.
    private static func sections(_ bytes: [UInt8]) throws -> [Range<Int>] {
        var reader = ByteReader(bytes)
        _ = try reader.take(1, "version")
        _ = try reader.varint("rows")
        return try (0..<6).map { _ in
            _ = try reader.take(6, "kind, encoding and size")
            let length: UInt32 = try reader.integer("length")
            _ = try reader.take(4, "checksum")
            return try reader.take(Int(length), "content")
        }
    }

    private static func reseal(_ bytes: inout [UInt8], _ section: Range<Int>) {
        let sum = CRC32C.checksum(bytes, range: section)
        for i in 0..<4 { bytes[section.lowerBound - 4 + i] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * i)) }
    }

    /// The batch without the last `cut` bytes of a section, lengths and checksum as they should be.
    private static func shortened(_ bytes: [UInt8], _ section: Range<Int>, by cut: Int) -> [UInt8] {
        var out = ByteWriter()
        out.append(bytes[..<(section.lowerBound - 12)])
        out.integer(UInt32(section.count - cut))
        out.integer(UInt32(section.count - cut))
        let kept = section.lowerBound..<(section.upperBound - cut)
        out.integer(CRC32C.checksum(bytes, range: kept))
        out.append(bytes[kept])
        out.append(bytes[section.upperBound...])
        return out.bytes
    }

    @Test func everyCutOfEverySectionIsAnError() throws {
        var random = SplitMix64(seed: 41)
        let bytes = EventBatchCodec.encode(Self.batch(&random, rows: 40), compressed: false)
        for section in try Self.sections(bytes) {
            for cut in 1...section.count {
                let mutant = Self.shortened(bytes, section, by: cut)
                #expect(throws: ByteError.self) { try EventBatchCodec.decode(mutant, bounds: .wire) }
            }
        }
    }

    @Test func changedBytesAreAnErrorOrABatchThatComesBackEqual() throws {
        var random = SplitMix64(seed: 42)
        let good = EventBatchCodec.encode(Self.batch(&random, rows: 40), compressed: false)
        let sections = try Self.sections(good)
        var refused = 0
        for _ in 0..<4_000 {
            var bytes = good
            let section = random.pick(sections)
            for _ in 0...random.below(3) {
                let at = section.lowerBound + random.below(section.count)
                bytes[at] = random.chance(50) ? UInt8(random.below(256)) : random.pick([0, 0x7F, 0x80, 0xFF])
            }
            Self.reseal(&bytes, section)
            guard let batch = try? EventBatchCodec.decode(bytes, bounds: .wire) else {
                refused += 1
                continue
            }
            // Whatever was accepted can be worked with.
            #expect(try EventBatchCodec.decode(EventBatchCodec.encode(batch, compressed: true)) == batch)
            #expect(batch.gather(Array(0..<batch.count)).events.count == batch.count)
        }
        #expect(refused > 1_000)
    }

    /// Sections of batches with as many rows, and of random bytes, put together.
    @Test func randomBytesNeverTrap() throws {
        var random = SplitMix64(seed: 43)
        let batches = (0..<4).map { rows in
            (0..<3).map { _ in EventBatchCodec.encode(Self.batch(&random, rows: rows), compressed: false) }
        }
        // By place of the section that was found wrong; the last are batches without a fault.
        var found = [Int](repeating: 0, count: 7)
        for _ in 0..<3_000 {
            let rows = random.below(4)
            let main = random.pick(batches[rows])
            var bytes: [UInt8] = [1, UInt8(rows)]
            var ends: [Int] = []
            for kind in 1...6 {
                let other = random.chance(80) ? main : random.pick(batches[rows])
                let valid = Array(other[try Self.sections(other)[kind - 1]])
                let noise = (0..<random.below(60)).map { _ in UInt8(random.chance(60) ? random.below(4) : random.below(256)) }
                let body = random.chance(80) ? valid : noise
                var out = ByteWriter()
                out.integer(UInt8(kind))
                out.integer(UInt8(0))
                out.integer(UInt32(body.count))
                out.integer(UInt32(body.count))
                out.integer(CRC32C.checksum(body))
                out.append(body)
                bytes += out.bytes
                ends.append(bytes.count)
            }
            do throws(ByteError) {
                let batch = try EventBatchCodec.decode(bytes, bounds: .wire)
                #expect(batch.count == rows && batch.events.count == rows)
                found[6] += 1
            } catch {
                found[ends.firstIndex { error.offset < $0 } ?? 5] += 1
            }
            _ = try? EventBatchCodec.decode(bytes, bounds: .stored)
        }
        #expect(found.allSatisfy { $0 > 50 }, "\(found)")
    }

    /// The careful half of each loop names what is wrong, wherever the quick half stopped.
    @Test func errorsSayWhatIsWrongInTheMiddle() throws {
        var random = SplitMix64(seed: 44)
        let good = EventBatchCodec.encode(Self.batch(&random, rows: 200), compressed: false)
        let properties = try Self.sections(good)[5]
        // 200 counts, then properties; the first is a string: key, tag, code.
        for (at, byte, text) in [(200, 9, "property key code"), (201, 7, "property tag 7"), (202, 99, "string code 99")] {
            var bytes = good
            bytes[properties.lowerBound + at] = UInt8(byte)
            Self.reseal(&bytes, properties)
            let error = #expect(throws: ByteError.self) { try EventBatchCodec.decode(bytes, bounds: .wire) }
            #expect(error?.reason.contains(text) == true, "\(error?.reason ?? "none")")
            #expect(properties.contains(error?.offset ?? 0))
        }
    }

    @Test func writingBehindOtherBytesChangesNothing() {
        var random = SplitMix64(seed: 45)
        let batch = Self.batch(&random, rows: 30)
        var out = ByteWriter()
        out.append([1, 2, 3])
        EventBatchCodec.encode(batch, &out)
        #expect(Array(out.bytes[3...]) == EventBatchCodec.encode(batch, compressed: false))
        var packed = ByteWriter()
        EventBatchCodec.encodeCompressed(batch, &packed, LZ4Block.State())
        #expect(packed.bytes == EventBatchCodec.encode(batch, compressed: true))
    }
}
