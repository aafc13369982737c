import Codec
import FunnelModel

/// Codes of a page's distinct strings, in order of first appearance.
struct PageDictionary {
    /// Index in the table of each code's string.
    private(set) var places: [Int] = []
    /// Codes + 1 by content; 0 is free.
    private var slots: [UInt32]
    private var hashes: [UInt64] = []
    /// The code + 1 of each index that was asked for, counted from `firstPlace`.
    private var known: [UInt32]
    private let firstPlace: Int

    /// - Parameter indexes: those that will be asked for.
    init(_ indexes: [Int]) {
        firstPlace = indexes.min() ?? 0
        let span = (indexes.max() ?? 0) - firstPlace + 1
        // Where a table was filled as its values came, the page's part of it is short.
        known = [UInt32](repeating: 0, count: span <= 8 * indexes.count ? span : 0)
        var size = 16
        while size < 2 * indexes.count { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
    }

    mutating func code(_ table: StringTable, _ place: Int) -> UInt32 {
        if known.isEmpty { return find(table, place) }
        let seen = known[place - firstPlace]
        if seen > 0 { return seen - 1 }
        let code = find(table, place)
        known[place - firstPlace] = code + 1
        return code
    }

    private mutating func find(_ table: StringTable, _ place: Int) -> UInt32 {
        let hash = table.hash(place)
        var at = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[at] > 0 {
            let code = Int(slots[at]) - 1
            if hashes[code] == hash, places[code] == place || table.compare(places[code], with: table, place) == 0 { return UInt32(code) }
            at = (at + 1) & (slots.count - 1)
        }
        places.append(place)
        hashes.append(hash)
        slots[at] = UInt32(places.count)
        return UInt32(places.count - 1)
    }
}
