/// What the users of a scenario do, as a table. `JourneyTraffic` makes events of it.
///
/// **Facts** decide who gets further: the values of a user's properties (`device=mobile`) and the names of the events done.
struct Journey: Sendable {
    /// User ids are this name, `-` and a number.
    var user: String
    /// Visits begin within these days.
    var days: Int
    /// Visits of a user: from 1 to this number, fewer once a user is through.
    var visitsMax: Int
    /// Days from the end of a visit to the next one, at most.
    var pauseDays: Int
    /// A later visit goes on at the stage that the user has not reached; otherwise it starts over.
    var isResumed: Bool
    /// Without weekends, what would happen on one happens on Monday.
    var hasWeekends: Bool
    /// How busy each hour of the day is, in UTC.
    var hours: [Int]
    var traits: [Trait]
    var stages: [Stage]
}

extension Journey {
    /// A property of all events of a user.
    struct Trait: Sendable {
        /// Several names, separated by blanks, have values that go together.
        var names: String
        /// Values and their weights. The empty value is absent.
        var values: KeyValuePairs<String, Int>
        /// Drawn for each visit, and only on its first event.
        var isOfVisit = false
    }

    /// The value of an event's own property. A value that was drawn stays the same until the journey starts over.
    enum Value: Sendable {
        case fixed(String)
        case text(KeyValuePairs<String, Int>)
        case number(ClosedRange<Int>)
        /// The range of the first fact that holds.
        case numberBy(KeyValuePairs<String, ClosedRange<Int>>)
    }

    struct Stage: Sendable {
        /// Event names and their weights; one of them happens.
        var events: KeyValuePairs<String, Int>
        /// Chance of those who got this far.
        var percent = 100
        /// What facts add to the chance.
        var but: KeyValuePairs<String, Int> = [:]
        /// Seconds since the stage before.
        var after = 0...0
        /// Chance that it happens some hours before the stage before.
        var earlyPercent = 0
        /// A user who skips it may still go on.
        var isOptional = false
        var properties: KeyValuePairs<String, Value> = [:]
        /// The first of these that happens takes the place of this stage and ends the visit.
        var otherwise: [Stage] = []
    }
}
