/// Why compressed data could not be decoded.
package enum DecompressionError: Error, Equatable, CustomStringConvertible {
    /// The data decode to more bytes than the limit.
    case overLimit(bytes: Int)
    case damaged(String)
    case endsEarly

    package var description: String {
        switch self {
        case .overLimit(let bytes): "decoded data is over the limit of \(bytes) bytes"
        case .damaged(let reason): reason
        case .endsEarly: "compressed data ends early"
        }
    }
}

/// Streaming decompression with a limit on the decoded bytes, in steps of bounded size: a few bytes can expand to gigabytes.
package protocol Decompressor: AnyObject {
    /// Supplies the next compressed bytes, once `next` has returned false.
    func feed(_ bytes: [UInt8])
    /// Appends the next decoded bytes, at most `Compression.stepBytes`. After damage, what was decoded before it comes first.
    /// - Returns: false if more compressed bytes are needed.
    func next(into out: inout [UInt8]) throws(DecompressionError) -> Bool
    /// Throws `.endsEarly` if the stream is not complete.
    func finish() throws(DecompressionError)
}

extension Decompressor {
    /// Decodes all of the next compressed bytes.
    package func decode(_ bytes: [UInt8]) throws(DecompressionError) -> [UInt8] {
        var out: [UInt8] = []
        feed(bytes)
        while try next(into: &out) {}
        return out
    }
}

/// The compressions of streams.
package enum Compression: String, Sendable {
    /// gzip or zlib, which the header distinguishes.
    case gzip
    /// Only in builds with the package trait `Zstd`.
    case zstd

    /// Max bytes that one step of decompression appends.
    package static let stepBytes = 64 << 10

    package var isInThisBuild: Bool {
        switch self {
        case .gzip: return true
        case .zstd:
            #if Zstd
                return true
            #else
                return false
            #endif
        }
    }

    /// Starts a stream.
    /// - Parameters:
    ///   - limit: max decoded bytes in all; more are `.overLimit`.
    ///   - takesPadding: whether zeros after the last gzip member are accepted; tapes and some programs leave them.
    ///   - windowBits: zstd frames whose window has more than 2^`windowBits` bytes are refused; a stream allocates its window.
    package func decompressor(
        limit: Int, takesPadding: Bool = false, windowBits: Int32
    ) throws(DecompressionError) -> any Decompressor {
        switch self {
        case .gzip: return try Inflate(limit: limit, takesPadding: takesPadding)
        case .zstd:
            #if Zstd
                return try Unzstd(limit: limit, windowBits: windowBits)
            #else
                throw .damaged("this build leaves zstd out")
            #endif
        }
    }
}
