import Codec
import FunnelModel

/// The last frame of every answer: without it, what came before must not be used.
package struct Trailer: Equatable, Sendable {
    /// 0, or the code of the error frame before it.
    package var status: UInt16
    /// Rows, users or results that the answer carries.
    package var rows: UInt64
    /// CRC-32C over the decoded bodies of all frames before the trailer, in order.
    package var checksum: UInt32

    package init(status: UInt16, rows: UInt64, checksum: UInt32) {
        self.status = status
        self.rows = rows
        self.checksum = checksum
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(status)
        out.integer(rows)
        out.integer(checksum)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        status = try reader.integer("status")
        rows = try reader.integer("rows")
        checksum = try reader.integer("checksum")
        try reader.finish("trailer")
    }
}
