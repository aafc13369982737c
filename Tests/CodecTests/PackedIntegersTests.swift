import Codec
import FunnelModel
import Glibc
import Testing

struct PackedIntegersTests {
    /// Blocks may stand at the very end of mapped memory: behind the slack there is nothing to read.
    @Test(arguments: 0...32)
    func unpackingReadsNoFurtherThanTheSlack(width: Int) throws {
        let page = sysconf(Int32(_SC_PAGESIZE))
        let memory = try #require(mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        defer { munmap(memory, 2 * page) }
        try #require(memory != MAP_FAILED && mprotect(memory + page, page, PROT_NONE) == 0)
        let mask = width == 32 ? UInt32.max : (1 << UInt32(width)) - 1
        let values = (0..<UInt32(256)).map { $0 &* 2_654_435_761 & mask }
        var bytes: [UInt8] = []
        PackedIntegers.pack(values, from: 0, width: width, into: &bytes)
        #expect(bytes.count == PackedIntegers.bytes(width: width))
        let start = page - bytes.count - PackedIntegers.slack
        bytes.withUnsafeBytes { if let base = $0.baseAddress { (memory + start).copyMemory(from: base, byteCount: $0.count) } }
        var out = [UInt32](repeating: 7, count: 256)
        out.withUnsafeMutableBufferPointer {
            if let target = $0.baseAddress { PackedIntegers.unpack(memory + start, width: width, to: target) }
        }
        #expect(out == values)
    }

    @Test func columnsOfEveryFormComeBack() throws {
        for count in [0, 1, 31, 32, 33, 255, 256, 257, 512, 1_000, 4_096] {
            let columns: [[UInt32]] = [
                Array(repeating: 9, count: count), (0..<UInt32(count)).map { $0 }, (0..<UInt32(count)).map { $0 / 100 },
                (0..<UInt32(count)).map { $0 == 300 ? .max : 0 }, (0..<UInt32(count)).map { $0 &* 2_654_435_761 },
            ]
            for values in columns {
                var bytes: [UInt8] = []
                IntegerColumn.encode(values, into: &bytes)
                var reader = ByteReader(bytes)
                #expect(try IntegerColumn.decode(&reader, count: count, "values") == values)
                try reader.finish("column")
                for size in 0..<bytes.count where size % 7 == 0 {
                    var short = ByteReader(Array(bytes[..<size]))
                    #expect(throws: ByteError.self) { try IntegerColumn.decode(&short, count: count, "values") }
                }
            }
        }
    }
}
