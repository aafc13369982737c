/// The nine bytes before each frame, as far as the guards need them.
struct FrameHeader {
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let resetStream: UInt8 = 3
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9

    var length: Int
    var type: UInt8
    var flags: UInt8

    var endsStream: Bool { flags & 0x1 != 0 }
    var endsHeaders: Bool { flags & 0x4 != 0 }
    var isPadded: Bool { flags & 0x8 != 0 }
}

/// Follows frame borders in the raw input, ahead of nghttp2.
///
/// nghttp2 does not report frames it ignores (unknown types, DATA of closed streams), and those cost it work too. Here
/// every frame is counted, before any of that work is done.
struct FrameScanner {
    /// Length of the client preface, which comes before the first frame.
    static let prefaceLength = 24

    private var toSkip: Int
    private var partial: InlineArray<9, UInt8> = .init(repeating: 0)
    private var partialCount = 0
    private var payloadIsHeaderBlock = false
    private var expectsContinuation = false

    init(role: HTTP2Role) {
        toSkip = role == .server ? Self.prefaceLength : 0
    }

    /// Whether a header block has begun and not ended; then the header timeout runs.
    var isInHeaderBlock: Bool { expectsContinuation || (payloadIsHeaderBlock && toSkip > 0) }

    /// Scans the bytes; false as soon as the budget is spent.
    mutating func scan(
        _ bytes: UnsafeRawBufferPointer, budget: inout GlitchBudget, isOver: (_ stream: Int32) -> Bool
    ) -> Bool {
        var index = 0
        while index < bytes.count {
            if toSkip > 0 {
                let step = min(toSkip, bytes.count - index)
                toSkip -= step
                index += step
                continue
            }
            partial[partialCount] = bytes[index]
            partialCount += 1
            index += 1
            guard partialCount == 9 else { continue }
            partialCount = 0
            let length = Int(partial[0]) << 16 | Int(partial[1]) << 8 | Int(partial[2])
            let header = FrameHeader(length: length, type: partial[3], flags: partial[4])
            toSkip = length
            note(header)
            if header.type == FrameHeader.data, isOver(streamNumber) {
                guard budget.admitLate(length) else { return false }
            } else {
                guard budget.admit(header) else { return false }
            }
        }
        return true
    }

    private var streamNumber: Int32 {
        Int32(partial[5] & 0x7F) << 24 | Int32(partial[6]) << 16 | Int32(partial[7]) << 8 | Int32(partial[8])
    }

    private mutating func note(_ header: FrameHeader) {
        payloadIsHeaderBlock = header.type == FrameHeader.headers || header.type == FrameHeader.continuation
        if payloadIsHeaderBlock { expectsContinuation = !header.endsHeaders }
    }
}
