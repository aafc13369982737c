import Foundation
import FunnelModel
import FunnelProtocol

/// Where an export goes on. As text it is base64 of RFC 4648 section 5, without padding; clients keep it and do not read it.
struct ExportCursor: Equatable, Sendable {
    /// When the export began, in microseconds since 1970.
    var asOf: Int64
    /// A hash of what is exported, so that a cursor is not used for something else.
    var subject: UInt64
    /// Number of the shard that comes next.
    var shard: Int
    /// The place in the events of this shard; nil is their beginning.
    var place: ExportPlace?

    static func subject(of question: ExportQuestion, project: UInt32, shards: Int) -> UInt64 {
        var out = ByteWriter()
        out.integer(project)
        out.integer(UInt32(truncatingIfNeeded: shards))
        out.append(ExportQuery(question: question, limit: 1).body)
        return XXH64.hash(out.bytes)
    }

    private static let version: UInt8 = 1

    var text: String {
        var out = ByteWriter()
        out.integer(Self.version)
        out.zigzag(asOf)
        out.integer(subject)
        out.varint(UInt64(shard))
        out.integer(UInt8(place == nil ? 0 : 1))
        place?.write(to: &out)
        out.integer(XXH64.hash(out.bytes))
        return Data(out.bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// Nil if the text is no cursor of this release.
    init?(_ text: String) {
        // A position has at most two names of 256 bytes.
        guard text.utf8.count <= 1_024 else { return nil }
        let padded = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        guard let data = Data(base64Encoded: padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4)), data.count > 8
        else { return nil }
        let bytes = Array(data)
        do throws(ByteError) {
            var sum = ByteReader(Array(bytes.suffix(8)))
            guard try sum.integer("checksum") as UInt64 == XXH64.hash(Array(bytes.dropLast(8))) else { return nil }
            var reader = ByteReader(Array(bytes.dropLast(8)))
            guard try reader.integer("version") as UInt8 == Self.version else { return nil }
            asOf = try reader.zigzag("as_of")
            subject = try reader.integer("subject")
            shard = try reader.count(limit: Limits.shards, "shard")
            let hasPlace: UInt8 = try reader.integer("place")
            place = hasPlace == 1 ? try ExportPlace(&reader) : nil
            try reader.finish("cursor")
        } catch {
            return nil
        }
    }

    init(asOf: Int64, subject: UInt64, shard: Int, place: ExportPlace? = nil) {
        self.asOf = asOf
        self.subject = subject
        self.shard = shard
        self.place = place
    }
}
