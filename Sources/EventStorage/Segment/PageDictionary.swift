import Codec
import FunnelModel

/// Gives codes to the distinct strings of a page, in order of first appearance.
struct PageDictionary {
    /// By code: the index of its string in the table.
    private(set) var places: [Int] = []
    /// Hash table of code + 1, by content; 0 is free.
    private var slots: [UInt32]
    private var hashes: [UInt64] = []
    /// Code + 1 by index in the table, counted from `firstPlace`; 0 is not known yet. Empty if the indexes are far apart.
    private var known: [UInt32]
    private let firstPlace: Int

    /// An empty dictionary.
    /// - Parameter indexes: all indexes of which a code will be asked.
    init(_ indexes: [Int]) {
        firstPlace = indexes.min() ?? 0
        let span = (indexes.max() ?? 0) - firstPlace + 1
        // If the table was filled in the order of its values, the indexes of a page are close together.
        known = [UInt32](repeating: 0, count: span <= 8 * indexes.count ? span : 0)
        var size = 16
        while size < 2 * indexes.count { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
    }

    /// The code of the string at an index of the table.
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
