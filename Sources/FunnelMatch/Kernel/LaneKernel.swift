import FunnelModel

/// Where a slice is cut into four parts of whole users. The kernels advance all four in turn, so that the processor always has
/// three other dependency chains to execute while one waits.
struct LaneCuts {
    /// Lower bounds of the keys of parts 1, 2 and 3; ascending.
    private var first: InlineArray<3, UInt64>

    /// Cuts so that each part has about the same number of these keys.
    init(balancing keys: UnsafePointer<UInt64>, count: Int, timeBits: Int) {
        first = [0, 0, 0]
        for part in 0..<3 where count > 0 {
            let middle = unsafe keys[count * (part + 1) / 4]
            let start = (middle >> UInt64(timeBits)) << UInt64(timeBits)
            // The maximum matters only if keys are out of order.
            first[part] = part == 0 ? start : max(first[part - 1], start)
        }
    }

    /// Index ranges of the parts of a list: part `p` is `result[p] ..< result[p + 1]`.
    func parts(of keys: UnsafePointer<UInt64>, count: Int) -> InlineArray<5, Int> {
        var result: InlineArray<5, Int> = [0, 0, 0, 0, count]
        for part in 0..<3 {
            result[part + 1] = (result[part]..<count).partitioningIndex { unsafe keys[$0] >= first[part] }
        }
        return result
    }
}

/// The index ranges of a slice's four parts in a buffer.
struct LaneRanges {
    var begin: InlineArray<4, Int> = [0, 0, 0, 0]
    var end: InlineArray<4, Int> = [0, 0, 0, 0]

    init() {}

    init(_ parts: InlineArray<5, Int>) {
        for part in 0..<4 {
            begin[part] = parts[part]
            end[part] = parts[part + 1]
        }
    }

    var total: Int { (0..<4).reduce(0) { $0 + end[$1] - begin[$1] } }
}

/// The indexes of one part: next item of the driving list and its end, next key of the other list, next output element.
struct Lane {
    var item: Int
    let end: Int
    var other: Int
    var out: Int

    @inline(__always) var runs: Bool { item < end }
}

/// The inner loop of a pass over two lists.
protocol LaneKernel {
    /// Advances a lane by up to eight keys of the other list, by one item, or both; writes at most one element of output.
    func advance(_ lane: inout Lane)
}

extension LaneKernel {
    /// Runs over all items; returns the range of each part's output.
    ///
    /// - Parameter gap: elements before each part's room for output; the room is as many elements as the part has items.
    @inline(__always)
    func run(_ items: LaneRanges, others: InlineArray<5, Int>, gap: Int) -> LaneRanges {
        func lane(_ part: Int) -> Lane {
            Lane(
                item: items.begin[part], end: items.end[part], other: others[part],
                out: items.begin[part] + (part + 1) * gap)
        }
        var a = lane(0)
        var b = lane(1)
        var c = lane(2)
        var d = lane(3)
        var output = LaneRanges()
        output.begin = [a.out, b.out, c.out, d.out]
        while a.runs, b.runs, c.runs, d.runs {
            advance(&a)
            advance(&b)
            advance(&c)
            advance(&d)
        }
        while a.runs { advance(&a) }
        while b.runs { advance(&b) }
        while c.runs { advance(&c) }
        while d.runs { advance(&d) }
        output.end = [a.out, b.out, c.out, d.out]
        return output
    }
}

/// Operations on blocks of ascending keys.
enum KeyBlock {
    /// The number of the eight keys at the pointer that are at most `bound`.
    ///
    /// Uses a subtraction and a shift, since a 64-bit comparison is slow without SSE4.2. Differences must be below 2^63.
    @inline(__always)
    static func countUpTo(_ bound: UInt64, _ keys: UnsafePointer<UInt64>) -> Int {
        let next = unsafe UnsafeRawPointer(keys).loadUnaligned(as: SIMD8<UInt64>.self)
        let after = (SIMD8(repeating: bound) &- next) &>> 63
        return 8 &- Int(truncatingIfNeeded: after.wrappedSum())
    }

    /// The same for four keys; faster for a list that is not much longer than the one it is matched with.
    @inline(__always)
    static func countUpToOfFour(_ bound: UInt64, _ keys: UnsafePointer<UInt64>) -> Int {
        let next = unsafe UnsafeRawPointer(keys).loadUnaligned(as: SIMD4<UInt64>.self)
        let after = (SIMD4(repeating: bound) &- next) &>> 63
        return 4 &- Int(truncatingIfNeeded: after.wrappedSum())
    }

    /// The number of distinct users among ascending keys.
    static func users(_ keys: UnsafePointer<UInt64>, count: Int, timeBits: Int) -> Int {
        guard count > 0 else { return 0 }
        let shift = SIMD8(repeating: UInt64(timeBits))
        var changes = SIMD8<UInt64>(repeating: 0)
        var i = 1
        while i &+ 8 <= count {
            let key = unsafe UnsafeRawPointer(keys + i).loadUnaligned(as: SIMD8<UInt64>.self)
            let before = unsafe UnsafeRawPointer(keys + i - 1).loadUnaligned(as: SIMD8<UInt64>.self)
            // Keys ascend, so the next user's place is larger and the difference negative.
            changes &+= ((before &>> shift) &- (key &>> shift)) &>> 63
            i &+= 8
        }
        var total = 1 &+ Int(truncatingIfNeeded: changes.wrappedSum())
        let scalarShift = UInt64(timeBits)
        while i < count {
            let difference = unsafe (keys[i - 1] &>> scalarShift) &- (keys[i] &>> scalarShift)
            total &+= Int(truncatingIfNeeded: difference &>> 63)
            i &+= 1
        }
        return total
    }

    /// Puts the sentinels of `KeyList` around `begin ..< end`.
    static func enclose(_ keys: UnsafeMutablePointer<UInt64>, _ begin: Int, _ end: Int) {
        unsafe keys[begin - 1] = KeyList.frontSentinel
        for i in 0..<KeyList.backSentinels { unsafe keys[end + i] = KeyList.backSentinel }
    }

    /// Elements between the parts of one buffer: room for `enclose`, and for the element that a kernel writes ahead.
    static let gap = 16
}
