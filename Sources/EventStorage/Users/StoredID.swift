import Glibc

/// The alphabet of a user file. Valid while the file's bytes are kept.
@safe struct IDSymbols {
    let bits: Int
    private let symbols: UnsafeRawPointer

    /// nil if the file has no valid one.
    @inline(__always)
    init?(_ file: FileBytes) {
        bits = Int(file.load(UserFileFormat.symbolBitsAt, as: UInt8.self))
        guard bits <= IDAlphabet.bitsMax, let at = unsafe file.pointer(at: UserFileFormat.symbolsAt, need: IDAlphabet.symbolsMax) else {
            return nil
        }
        unsafe symbols = unsafe at
    }

    @inline(__always)
    subscript(code: UInt64) -> UInt8 {
        unsafe symbols.load(fromByteOffset: Int(truncatingIfNeeded: code & UInt64(IDAlphabet.symbolsMax - 1)), as: UInt8.self)
    }
}

/// An id as a block stores it. Eight bytes can be read from any of its bytes on (`UserBlock.slack`).
@safe struct StoredID {
    private let bytes: UnsafeRawBufferPointer
    private let form: UInt8
    private let symbols: IDSymbols
    /// Bytes of the text.
    let count: Int

    /// An id of these bytes.
    /// - Parameter form: an unknown form, or one that does not fit the number of bytes, counts as plain.
    @unsafe @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, form: UInt8, _ symbols: IDSymbols) {
        unsafe self.bytes = unsafe bytes
        self.symbols = symbols
        let isPacked = form == IDForm.packed || form == IDForm.packedShort
        if isPacked, symbols.bits > 0, bytes.count > 0 {
            self.form = form
            count = bytes.count &* 8 / symbols.bits &- (form == IDForm.packedShort ? 1 : 0)
        } else if form == IDForm.uuid || form == IDForm.uuidUpper, bytes.count == UUIDText.bytes {
            self.form = form
            count = UUIDText.characters
        } else {
            self.form = IDForm.plain
            count = bytes.count
        }
    }

    var text: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { text, filled in
            if let to = text.baseAddress { unsafe write(to: to) }
            filled = count
        }
    }

    /// Calls `body` with the text.
    @inline(__always)
    func withText<Result>(_ body: (RawSpan) -> Result) -> Result {
        if form == IDForm.plain { return body(unsafe bytes.bytes) }
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { text in
            if let to = text.baseAddress { unsafe write(to: to) }
            return body(unsafe text.span.bytes)
        }
    }

    /// Whether the text equals these bytes.
    @unsafe @inline(__always)
    func equals(_ user: UnsafeRawBufferPointer) -> Bool {
        guard user.count == count, let other = user.baseAddress else { return false }
        if form == IDForm.plain { return unsafe bytes.baseAddress.map { unsafe memcmp($0, other, count) == 0 } ?? false }
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { text in
            guard let to = text.baseAddress else { return false }
            unsafe write(to: to)
            return unsafe memcmp(to, other, count) == 0
        }
    }

    @unsafe @inline(__always)
    private func write(to text: UnsafeMutablePointer<UInt8>) {
        guard let base = unsafe bytes.baseAddress else { return }
        switch form {
        case IDForm.packed, IDForm.packedShort: unsafe unpack(base, to: text)
        case IDForm.uuid, IDForm.uuidUpper:
            unsafe UUIDText.unpack(base, isUpper: form == IDForm.uuidUpper, to: UnsafeMutableRawPointer(text))
        default: unsafe UnsafeMutableRawPointer(text).copyMemory(from: base, byteCount: count)
        }
    }

    /// Unpacks eight symbols at a time, which take `bits` bytes.
    @unsafe @inline(__always)
    private func unpack(_ base: UnsafeRawPointer, to text: UnsafeMutablePointer<UInt8>) {
        let mask = UInt64(1) &<< UInt64(symbols.bits) &- 1
        var at = 0
        var i = 0
        while i < count {
            var word = UInt64(littleEndian: unsafe base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let stop = min(i &+ 8, count)
            while i < stop {
                unsafe text[i] = symbols[word & mask]
                word &>>= UInt64(symbols.bits)
                i &+= 1
            }
            at &+= symbols.bits
        }
    }
}
