import EventStorage
import FunnelMatch
import FunnelModel

/// More events and values of properties, or longer ones, than one shard tells apart.
package struct TooManyFeatures: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String {
        "there are more than \(Limits.predictorFeatures) events and values, or more than \(Limits.predictorBytes) bytes of them"
    }
}

/// Adds users up by what they did before a step. Several threads each fill one of their own; `merge` makes them one.
package struct PredictorTally: Sendable {
    /// A user of the tally, and whether the step was reached.
    package struct User: Sendable {
        fileprivate var number: Int
        fileprivate var converted: Bool
    }

    /// A row that may hold what predicts.
    struct Row {
        var ref: RowRef
        var user: User
    }

    /// Users of something, each once though it was done many times.
    fileprivate struct Feature {
        var users = PredictorCounts.Users()
        private var last = -1

        mutating func add(_ user: User) {
            if user.number == last { return }
            last = user.number
            users = users + PredictorCounts.Users(1, converted: user.converted ? 1 : 0)
        }
    }

    /// While properties are added there may be so many times more, since those of too many values are left out later.
    private static let room = 4

    private let featuresMax: Int
    private let bytesMax: Int
    private let events: [ByteString]
    private let properties: [ByteString]
    private var whole = PredictorCounts.Users()
    /// By event name.
    private var ofEvent: [Feature]
    /// By property.
    private var ofProperty: [ValueFeatures]

    /// - Parameters:
    ///   - events: names of all events, to which `add(event:of:)` refers.
    ///   - properties: names of those to look at.
    init(events: [ByteString], properties: [ByteString]) {
        self.init(events: events, properties: properties, featuresMax: Limits.predictorFeatures, bytesMax: Limits.predictorBytes)
    }

    package init(events: [ByteString], properties: [ByteString], featuresMax: Int, bytesMax: Int) {
        self.events = events
        self.properties = properties
        self.featuresMax = featuresMax
        self.bytesMax = bytesMax
        ofEvent = Array(repeating: Feature(), count: events.count)
        ofProperty = Array(repeating: ValueFeatures(), count: properties.count)
    }

    /// Adds a user, who is then given to what follows.
    package mutating func add(converted: Bool) -> User {
        let user = User(number: Int(whole.count), converted: converted)
        whole = whole + PredictorCounts.Users(1, converted: converted ? 1 : 0)
        return user
    }

    package mutating func add(event: Int, of user: User) { ofEvent[event].add(user) }

    /// Adds the values of all properties of some rows; all rows of a user come in one call, one after the other.
    mutating func add(_ rows: [Row], _ view: StoreView, _ isCancelled: () -> Bool) throws {
        if rows.isEmpty { return }
        // Read where they lie one after the other, told user by user.
        let order = rows.indices.sorted { rows[$0].ref.bits < rows[$1].ref.bits }
        let refs = order.map { rows[$0].ref }
        var codes = [Int32](repeating: PropertyCodes.none, count: rows.count)
        for (property, name) in properties.enumerated() where !ofProperty[property].isLeftOut {
            if isCancelled() { throw MatchError.cancelled }
            var values = PropertyCodes(view, name)
            do {
                let found = try values.codes(of: refs) { try ofProperty[property].code(of: $0) }
                for (row, code) in zip(order, found) { codes[row] = code }
                for (row, code) in zip(rows, codes) where code != PropertyCodes.none { ofProperty[property].add(code, row.user) }
            } catch is ValueFeatures.TooMany {
                ofProperty[property].leaveOut()
            }
            try check(room: Self.room)
        }
    }

    package mutating func merge(_ other: PredictorTally) throws(TooManyFeatures) {
        whole = whole + other.whole
        for i in ofEvent.indices { ofEvent[i].users = ofEvent[i].users + other.ofEvent[i].users }
        for i in ofProperty.indices { ofProperty[i].merge(other.ofProperty[i]) }
        try check(room: Self.room)
    }

    private func check(room: Int) throws(TooManyFeatures) {
        var features = 0
        var bytes = 0
        for (name, feature) in zip(events, ofEvent) where feature.users.count > 0 {
            features += 1
            bytes += name.count
        }
        for property in ofProperty {
            features += property.count
            bytes += property.bytes
        }
        for name in properties { bytes += name.count + 4 }
        bytes += features * PredictorCounts.bytesPerFeature
        guard features <= room * featuresMax, bytes <= room * bytesMax else { throw TooManyFeatures() }
    }

    package func finish() throws(TooManyFeatures) -> PredictorCounts {
        try check(room: 1)
        var counts = PredictorCounts()
        counts.whole = whole
        for (name, feature) in zip(events, ofEvent) where feature.users.count > 0 { counts.events[name] = feature.users }
        for (name, property) in zip(properties, ofProperty) {
            if property.isLeftOut { counts.leftOut.insert(name) }
            if property.count > 0 { counts.properties[name] = property.users }
        }
        return counts
    }
}

/// The values of one property.
private struct ValueFeatures {
    struct TooMany: Error {}

    private(set) var isLeftOut = false
    /// Bytes of all values on the wire, at most.
    private(set) var bytes = 0
    private var codes: [PropertyValue: Int32] = [:]
    private var features: [PredictorTally.Feature] = []

    var count: Int { codes.count }

    var users: [PropertyValue: PredictorCounts.Users] { codes.mapValues { features[Int($0)].users } }

    mutating func code(of value: PropertyValue) throws(TooMany) -> Int32 {
        let value = value.canonical
        if let known = codes[value] { return known }
        guard codes.count < Limits.predictorValues else { throw TooMany() }
        let new = Int32(codes.count)
        codes[value] = new
        features.append(PredictorTally.Feature())
        bytes += value.wireBytes
        return new
    }

    mutating func add(_ code: Int32, _ user: PredictorTally.User) { features[Int(code)].add(user) }

    mutating func leaveOut() {
        self = ValueFeatures()
        isLeftOut = true
    }

    mutating func merge(_ other: ValueFeatures) {
        if isLeftOut { return }
        if other.isLeftOut { return leaveOut() }
        for (value, theirs) in other.codes {
            guard let mine = try? code(of: value) else { return leaveOut() }
            features[Int(mine)].users = features[Int(mine)].users + other.features[Int(theirs)].users
        }
    }
}
