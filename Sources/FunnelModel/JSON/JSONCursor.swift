/// Bytes of a string: a range of the text, or of the scratch buffer where escapes had to be undone.
struct TextRange {
    /// The longest text that is scanned: places in it and in its scratch buffer fit 32 bits.
    static let textBytes = Int(Int32.max)
    static let none = TextRange(start: 0, count: 0, isDecoded: false)

    private let from: UInt32
    private let length: UInt32
    /// In the scratch buffer.
    let isDecoded: Bool

    @inline(__always)
    init(start: Int, count: Int, isDecoded: Bool) {
        from = UInt32(truncatingIfNeeded: start)
        length = UInt32(truncatingIfNeeded: count)
        self.isDecoded = isDecoded
    }

    var count: Int { Int(length) }

    var range: Range<Int> { Int(from)..<(Int(from) &+ Int(length)) }
}

/// A scalar as it will stand in the columns: `EventBatch.Tag` and bits; a string's bytes are in `text`.
struct ScannedScalar {
    static let nullTag: UInt8 = 0

    var tag: UInt8
    var bits: UInt64 = 0
    var text = TextRange.none
}

/// The lexer of all JSON: a place in a text (RFC 8259; UTF-8 and escapes checked, integers exact up to 64 bits). It builds nothing in
/// memory but the bytes of strings with escapes. Bare `NaN`, `Infinity` and `-Infinity`, which some SDKs send, read as null.
/// After a fault, `at` is where it was found.
struct JSONCursor: ~Escapable {
    let bytes: Span<UInt8>
    /// At most `bytes.count`.
    let end: Int
    /// Never below 0 nor past `bytes.count`.
    private(set) var at: Int
    /// Whether LF and CR are white space; in a body of lines either ends the event.
    private let takesLineEnds: Bool
    /// Whether half of a surrogate pair and a number that no double holds are faults. If not, they read as U+FFFD and as an
    /// infinity.
    private let isStrict: Bool

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, _ range: Range<Int>, takesLineEnds: Bool, isStrict: Bool = true) {
        self.isStrict = isStrict
        self.bytes = bytes
        at = min(range.lowerBound, bytes.count)
        end = min(range.upperBound, bytes.count)
        self.takesLineEnds = takesLineEnds
    }

    /// The byte here, 0 at the end (which stands for itself nowhere in a JSON text).
    @inline(__always)
    var byte: UInt8 { at < end ? unsafe bytes[unchecked: at] : 0 }

    var isAtEnd: Bool { at >= end }

    var isAtLineEnd: Bool { at >= end || byte == 10 || byte == 13 }

    /// Goes on at `place`, which an earlier reading of the same bytes found.
    mutating func move(to place: Int) { at = min(max(place, 0), bytes.count) }

    @inline(__always)
    mutating func advance() { at &+= at < end ? 1 : 0 }

    @inline(__always)
    mutating func skipSpace() {
        if byte > 32 { return }
        skipRun()
    }

    private mutating func skipRun() {
        while at < end {
            let b = byte
            guard b == 32 || b == 9 || ((b == 10 || b == 13) && takesLineEnds) else { return }
            at &+= 1
        }
    }

    @inline(__always)
    mutating func expect(_ expected: UInt8) throws(JSONFault) {
        guard byte == expected, at < end else { throw .expected(expected) }
        at &+= 1
    }

    /// After an element: true where `close` follows, false where another element does.
    @inline(__always)
    mutating func ends(with close: UInt8) throws(JSONFault) -> Bool {
        skipSpace()
        let b = byte
        guard b == close || b == UInt8(ascii: ",") else { throw isAtEnd ? .endsEarly : .expected(UInt8(ascii: ",")) }
        at &+= 1
        return b == close
    }

    /// The name of a member; past it and its `:`.
    mutating func memberName(_ scratch: inout [UInt8]) throws(JSONFault) -> TextRange {
        skipSpace()
        guard byte == UInt8(ascii: "\"") else { throw .expectedName }
        let name = try string(&scratch)
        try colon()
        return name
    }

    /// - Parameter scratch: has the bytes of strings with escapes.
    func bytes(of text: TextRange, _ scratch: [UInt8]) -> [UInt8] {
        if text.isDecoded { return Array(scratch[text.range]) }
        return unsafe bytes.extracting(text.range).withUnsafeBufferPointer { unsafe Array($0) }
    }

    /// Past a `:` and the space around it.
    @inline(__always)
    mutating func colon() throws(JSONFault) {
        skipSpace()
        try expect(UInt8(ascii: ":"))
        skipSpace()
    }
}

// MARK: - Values

extension JSONCursor {
    /// The scalar here; objects and lists are unusual.
    @inline(__always)
    mutating func scalar(_ scratch: inout [UInt8]) throws(JSONFault) -> ScannedScalar {
        switch byte {
        case UInt8(ascii: "\""): return ScannedScalar(tag: EventBatch.Tag.string, text: try string(&scratch))
        case UInt8(ascii: "-"), 48...57: return try number()
        default: return try word()
        }
    }

    private mutating func word() throws(JSONFault) -> ScannedScalar {
        switch byte {
        case UInt8(ascii: "t"):
            try word("true")
            return ScannedScalar(tag: EventBatch.Tag.bool, bits: 1)
        case UInt8(ascii: "f"):
            try word("false")
            return ScannedScalar(tag: EventBatch.Tag.bool, bits: 0)
        case UInt8(ascii: "n"): try word("null")
        case UInt8(ascii: "N"): try word("NaN")
        case UInt8(ascii: "I"): try word("Infinity")
        default: throw isAtEnd ? .endsEarly : .notAValue
        }
        return ScannedScalar(tag: ScannedScalar.nullTag)
    }

    private mutating func word(_ text: StaticString) throws(JSONFault) {
        let count = text.utf8CodeUnitCount
        guard end &- at >= count else { throw .notAValue }
        for i in 0..<count where unsafe bytes[at &+ i] != text.utf8Start[i] { throw .notAValue }
        at &+= count
    }

    /// Past any value, checked but not kept.
    mutating func skipValue(_ scratch: inout [UInt8], _ names: inout MemberNames, depth: Int) throws(JSONFault) {
        let open = byte
        guard open == UInt8(ascii: "{") || open == UInt8(ascii: "[") else {
            _ = try scalar(&scratch)
            return
        }
        guard depth < Limits.jsonDepth else { throw .tooDeep }
        // Two characters after either bracket in ASCII.
        let close = open &+ 2
        at &+= 1
        skipSpace()
        if byte == close {
            at &+= 1
            return
        }
        let before = names.count
        repeat {
            skipSpace()
            if open == UInt8(ascii: "{") {
                let mark = scratch.count
                let name = try string(&scratch)
                let hash =
                    name.isDecoded
                    ? MemberNames.hash(scratch.span.extracting(name.range)) : MemberNames.hash(bytes.extracting(name.range))
                try names.insert(hash, from: before)
                scratch.removeSubrange(mark...)
                try colon()
            }
            try skipValue(&scratch, &names, depth: depth + 1)
        } while try !ends(with: close)
        names.leave(before)
    }
}

// MARK: - Strings

extension JSONCursor {
    /// The string here, checked to be UTF-8.
    @inline(__always)
    mutating func string(_ scratch: inout [UInt8]) throws(JSONFault) -> TextRange {
        try expect(UInt8(ascii: "\""))
        let start = at
        var high: UInt64 = 0
        while at &+ 8 <= bytes.count {
            let word = bytes.word(at)
            let stops = Self.stops(in: word)
            if stops != 0 {
                let whole = stops.trailingZeroBitCount & ~7
                at &+= whole &>> 3
                high |= word & ((1 &<< UInt64(truncatingIfNeeded: whole)) &- 1)
                return try closed(start, high, &scratch)
            }
            high |= word
            at &+= 8
        }
        return try lastBytes(start, high, &scratch)
    }

    /// Past the string here if it is `name` between quotes; nil, and no further, where it is not.
    @inline(__always)
    mutating func take(_ name: Span<UInt8>) -> TextRange? {
        let start = at &+ 1
        let close = start &+ name.count
        guard byte == UInt8(ascii: "\""), close < end, bytes[close] == UInt8(ascii: "\""), bytes.extracting(start..<close).equals(name)
        else { return nil }
        at = close &+ 1
        return TextRange(start: start, count: name.count, isDecoded: false)
    }

    /// Fewer than eight bytes of the whole text are left.
    @inline(never)
    private mutating func lastBytes(_ start: Int, _ before: UInt64, _ scratch: inout [UInt8]) throws(JSONFault) -> TextRange {
        var high = before
        while at < end, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 32 {
            high |= UInt64(byte)
            at &+= 1
        }
        return try closed(start, high, &scratch)
    }

    @inline(__always)
    private mutating func closed(_ start: Int, _ high: UInt64, _ scratch: inout [UInt8]) throws(JSONFault) -> TextRange {
        guard byte == UInt8(ascii: "\"") else {
            guard byte == UInt8(ascii: "\\") else { throw at < end ? .controlCharacter : .openString }
            return try escaped(from: start, &scratch)
        }
        let count = at &- start
        at &+= 1
        if high & 0x8080_8080_8080_8080 != 0 { try checkUTF8(bytes.extracting(start..<(start &+ count))) }
        return TextRange(start: start, count: count, isDecoded: false)
    }

    /// A bit set in each byte that is a quote, a backslash or a control character, and at times in later ones: only the
    /// lowest is exact (Mycroft's zero-byte test).
    @inline(__always)
    private static func stops(in word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (ones &* 0x22)
        let slashes = word ^ (ones &* 0x5C)
        let found = ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes) | ((word &- ones &* 0x20) & ~word)
        return found & (ones &* 0x80)
    }

    private func checkUTF8(_ text: Span<UInt8>) throws(JSONFault) {
        guard unsafe text.withUnsafeBufferPointer({ unsafe isValidUTF8($0) }) else { throw .notUTF8 }
    }

    /// A string with escapes from its first backslash, which is here; its bytes go to the end of `scratch`.
    @inline(never)
    private mutating func escaped(from start: Int, _ scratch: inout [UInt8]) throws(JSONFault) -> TextRange {
        let mark = scratch.count
        scratch.append(bytes.extracting(start..<at))
        while at < end {
            let b = byte
            at &+= 1
            if b == UInt8(ascii: "\"") {
                let count = scratch.count &- mark
                try checkUTF8(scratch.span.extracting(mark..<(mark &+ count)))
                return TextRange(start: mark, count: count, isDecoded: true)
            }
            guard b >= 32 else { throw .controlCharacter }
            if b == UInt8(ascii: "\\") { try escape(&scratch) } else { scratch.append(b) }
        }
        throw .openString
    }

    private mutating func escape(_ scratch: inout [UInt8]) throws(JSONFault) {
        let b = byte
        advance()
        switch b {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(b)
        case UInt8(ascii: "b"): scratch.append(8)
        case UInt8(ascii: "f"): scratch.append(12)
        case UInt8(ascii: "n"): scratch.append(10)
        case UInt8(ascii: "r"): scratch.append(13)
        case UInt8(ascii: "t"): scratch.append(9)
        case UInt8(ascii: "u"): scratch.append(contentsOf: UTF8.encode(try unicodeEscape()) ?? UTF8.encodedReplacementCharacter)
        default: throw isAtEnd ? .openString : .unknownEscape
        }
    }

    /// The scalar of a `\u` escape and of the second one of a surrogate pair.
    private mutating func unicodeEscape() throws(JSONFault) -> Unicode.Scalar {
        let first = try hex4()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, end &- at >= 6, bytes[at] == UInt8(ascii: "\\"), bytes[at &+ 1] == UInt8(ascii: "u") {
            let mark = at
            at &+= 2
            let second = try hex4()
            if (0xDC00...0xDFFF).contains(second), let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) {
                return scalar
            }
            at = mark
        }
        if isStrict { throw .halfSurrogate }
        return "\u{FFFD}"
    }

    private mutating func hex4() throws(JSONFault) -> UInt32 {
        guard end &- at >= 4 else { throw .endsEarly }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let b = byte
            switch b {
            case 48...57: value = value << 4 | UInt32(b &- 48)
            case 65...70: value = value << 4 | UInt32(b &- 55)
            case 97...102: value = value << 4 | UInt32(b &- 87)
            default: throw .notHex
            }
            at &+= 1
        }
        return value
    }
}

// MARK: - Numbers

/// Powers of ten that a double holds exactly.
private let exactPowers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]

extension JSONCursor {
    /// The number here. Up to 18 digits are read as they come; a mantissa below 2^53 times or by an exact power of ten
    /// is rounded once, so it is the nearest double (Clinger); all else goes to the library.
    mutating func number() throws(JSONFault) -> ScannedScalar {
        let start = at
        let negative = byte == UInt8(ascii: "-")
        if negative {
            at &+= 1
            if byte == UInt8(ascii: "I") { return try word() }
        }
        var mantissa: UInt64 = 0
        let firstDigit = at
        digits(&mantissa)
        var digitCount = at &- firstDigit
        guard digitCount > 0 else { throw isAtEnd ? .endsEarly : .notAValue }
        guard digitCount == 1 || bytes[firstDigit] != 48 else { throw .leadingZero }
        var power = 0
        let isWhole = byte != UInt8(ascii: ".") && byte | 32 != UInt8(ascii: "e")
        if !isWhole {
            power = try fraction(&mantissa)
            digitCount &-= power
            power &+= try exponent()
        } else if digitCount <= 18 {
            let value = Int64(truncatingIfNeeded: mantissa)
            return ScannedScalar(tag: EventBatch.Tag.integer, bits: UInt64(bitPattern: negative ? 0 &- value : value))
        }
        if !isWhole, digitCount <= 15, abs(power) <= 22 {
            let factor = exactPowers[abs(power)]
            let value = power < 0 ? Double(mantissa) / factor : Double(mantissa) * factor
            return ScannedScalar(tag: EventBatch.Tag.double, bits: (negative ? -value : value).bitPattern)
        }
        return try longNumber(start..<at, isWhole: isWhole)
    }

    /// Wraps past 19 digits; the callers look at their count first.
    @inline(__always)
    private mutating func digits(_ value: inout UInt64) {
        while true {
            let digit = byte &- 48
            if digit > 9 { return }
            value = value &* 10 &+ UInt64(digit)
            at &+= 1
        }
    }

    /// Minus the number of digits after a point, 0 where there is none.
    @inline(__always)
    private mutating func fraction(_ mantissa: inout UInt64) throws(JSONFault) -> Int {
        guard byte == UInt8(ascii: ".") else { return 0 }
        at &+= 1
        let first = at
        digits(&mantissa)
        guard at > first else { throw isAtEnd ? .endsEarly : .notAValue }
        return first &- at
    }

    private mutating func exponent() throws(JSONFault) -> Int {
        guard byte | 32 == UInt8(ascii: "e") else { return 0 }
        at &+= 1
        let negative = byte == UInt8(ascii: "-")
        if negative || byte == UInt8(ascii: "+") { at &+= 1 }
        var value: UInt64 = 0
        let first = at
        digits(&value)
        guard at > first else { throw isAtEnd ? .endsEarly : .notAValue }
        let size = at &- first > 4 ? 9999 : Int(value)
        return negative ? -size : size
    }

    @inline(never)
    private func longNumber(_ range: Range<Int>, isWhole: Bool) throws(JSONFault) -> ScannedScalar {
        let text = unsafe bytes.extracting(range).withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        if isWhole, let value = Int64(text) { return ScannedScalar(tag: EventBatch.Tag.integer, bits: UInt64(bitPattern: value)) }
        guard let value = Double(text), value.isFinite || !isStrict else { throw .outOfRange }
        return ScannedScalar(tag: EventBatch.Tag.double, bits: value.bitPattern)
    }
}

extension [UInt8] {
    package mutating func append(_ text: Span<UInt8>) {
        unsafe text.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}
