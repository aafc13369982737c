/// The three bytes that some programs write before UTF-8 text.
package enum ByteOrderMark {
    /// 3 if `bytes` begin with a byte order mark, else 0.
    package static func length(in bytes: [UInt8]) -> Int { bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0 }
}
