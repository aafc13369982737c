import EventStorage
import FunnelMatch
import FunnelModel

/// One shard has more features (event names and property values), or more bytes of them, than its limits.
package struct TooManyFeatures: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String {
        "there are more than \(Limits.predictorFeatures) events and values, or more than \(Limits.predictorBytes) bytes of them"
    }
}

/// Counts users by what they did before a step. Each thread fills its own tally; `merge` joins them.
package struct PredictorTally: Sendable {
    /// A user of the tally, and whether the step was reached.
    package struct User: Sendable {
        fileprivate var number: Int
        fileprivate var converted: Bool
    }

    /// A row whose property values are features.
    struct Row {
        var ref: RowRef
        var user: User
    }

    /// The users with one feature. Each counts once, however often it is added, as long as no other user is added in between.
    fileprivate struct Feature {
        var users = PredictorCounts.Users()
        private var last = -1

        mutating func add(_ user: User) {
            if user.number == last { return }
            last = user.number
            users = users + PredictorCounts.Users(1, converted: user.converted ? 1 : 0)
        }
    }

    /// While properties are added, the limits are this many times higher: properties with too many values are left out later.
    private static let room = 4

    private let featuresMax: Int
    private let bytesMax: Int
    private let events: [ByteString]
    private let properties: [ByteString]
    private var whole = PredictorCounts.Users()
    /// By index of the event name.
    private var ofEvent: [Feature]
    /// By index of the property.
    private var ofProperty: [ValueFeatures]

    /// An empty tally.
    /// - Parameters:
    ///   - events: all event names, to which the indexes of `add(event:of:)` refer.
    ///   - properties: names of the properties to read.
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

    /// Adds a user; the result is the argument of the calls that add the user's features.
    package mutating func add(converted: Bool) -> User {
        let user = User(number: Int(whole.count), converted: converted)
        whole = whole + PredictorCounts.Users(1, converted: converted ? 1 : 0)
        return user
    }

    /// Adds an event of a user, by the index of its name.
    package mutating func add(event: Int, of user: User) { ofEvent[event].add(user) }

    /// Adds the property values of some rows. All rows of a user must be in one call, one after the other.
    mutating func add(_ rows: [Row], _ view: StoreView, _ isCancelled: () -> Bool) throws {
        if rows.isEmpty { return }
        // Read in the order of storage, added in the order of users.
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

    /// The counts, without properties that have too many values.
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
    /// Upper bound of the bytes of all values on the wire.
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
