import FunnelModel

/// How a user file stores an id.
enum IDForm {
    static let plain: UInt8 = 0
    /// Symbols of the file's alphabet: as many as the bytes have room for, or one fewer.
    static let packed: UInt8 = 1
    static let packedShort: UInt8 = 2
    /// 16 bytes for the 36 characters of a UUID (RFC 9562, section 4).
    static let uuid: UInt8 = 3
    static let uuidUpper: UInt8 = 4
}

/// The most frequent bytes of a file's ids, in descending frequency. An id of only these takes `bits` bits per byte.
struct IDAlphabet {
    static let bitsMax = 6
    static let symbolsMax = 1 << bitsMax

    /// Bits of a symbol, 4 to 6; 0 if packing saves nothing.
    private(set) var bits = 0
    private(set) var symbols: [UInt8] = []
    private var codes = [UInt8](repeating: .max, count: 256)

    /// Chooses the alphabet for the ids at some places of a table.
    init(_ ids: StringTable, _ places: [Int]) {
        var counts = [Int](repeating: 0, count: 256)
        for place in places { for byte in ids.slice(place) { counts[Int(byte)] += 1 } }
        let used = (0...UInt8.max).filter { counts[Int($0)] > 0 }
        symbols = Array(used.sorted { (counts[Int($1)], $0) < (counts[Int($0)], $1) }.prefix(Self.symbolsMax))
        for (code, symbol) in symbols.enumerated() { codes[Int(symbol)] = UInt8(code) }
        let widths = [4, 5, 6]
        var saved = [0, 0, 0]
        for place in places {
            let greatest = ids.slice(place).reduce(0) { max($0, Int(codes[Int($1)])) }
            let bytes = ids.range(place).count
            for (i, width) in widths.enumerated() where greatest < 1 << width { saved[i] += bytes - BitWriter.bytes(bytes, width) }
        }
        let best = saved.indices.max { saved[$0] < saved[$1] } ?? 0
        bits = saved[best] > 0 ? widths[best] : 0
        symbols = Array(symbols.prefix(bits == 0 ? 0 : 1 << bits))
    }

    /// nil if a byte is not a symbol, or if nothing is saved.
    func pack(_ id: ArraySlice<UInt8>) -> [UInt8]? {
        guard bits > 0, BitWriter.bytes(id.count, bits) < id.count else { return nil }
        var out = BitWriter()
        for byte in id {
            let code = codes[Int(byte)]
            guard code < symbols.count else { return nil }
            out.append(UInt64(code), bits)
        }
        return out.finish()
    }
}

/// The ids of a user file in the forms in which it stores them.
struct StoredIDs {
    let alphabet: IDAlphabet
    private(set) var table = StringTable()
    private(set) var forms: [UInt8] = []

    init(_ ids: StringTable) {
        alphabet = IDAlphabet(ids, (0..<ids.count).filter { UUIDText.pack(ids.slice($0)) == nil })
        for place in 0..<ids.count {
            let id = ids.slice(place)
            if let (bytes, isUpper) = UUIDText.pack(id) {
                add(bytes[...], isUpper ? IDForm.uuidUpper : IDForm.uuid)
            } else if let bytes = alphabet.pack(id) {
                add(bytes[...], bytes.count * 8 / alphabet.bits == id.count ? IDForm.packed : IDForm.packedShort)
            } else {
                add(id, IDForm.plain)
            }
        }
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>, _ form: UInt8) {
        table.append(bytes)
        forms.append(form)
    }
}
