import FunnelModel

/// Random events of users who go through the stages of a journey.
struct JourneyTraffic: Traffic {
    var deliveries: Deliveries
    private let journey: Journey
    private let start: Int64
    /// Of the first day; 0 is Monday.
    private let weekday: Int

    /// What is known of a user. Times are in seconds from the first day.
    private struct Person {
        let id: String
        var traits: [JSONValue.Member] = []
        var ofVisit: [JSONValue.Member] = []
        var drawn: [String: JSONValue] = [:]
        var facts: Set<String> = []
        var time = 0
        /// Stages reached.
        var reached = 0
    }

    init(_ journey: Journey, seed: UInt64, start: Int64) {
        deliveries = Deliveries(seed: seed)
        self.journey = journey
        self.start = start
        weekday = Int((Timestamp.floorDivide(start, 86_400_000_000) + 3) % 7)
    }

    mutating func addUser(_ number: Int) {
        var person = Person(id: "\(journey.user)-\(number)")
        for trait in journey.traits where !trait.isOfVisit { person.traits += draw(trait, &person.facts) }
        let stranger = person
        var day = deliveries.random.below(journey.days)
        for _ in 0..<(1 + deliveries.random.below(journey.visitsMax)) {
            guard day < journey.days else { return }
            if !journey.isResumed { person = stranger }
            person.time = time(on: day)
            visit(&person)
            if person.reached == journey.stages.count { return }
            day = person.time / 86_400 + 1 + deliveries.random.below(journey.pauseDays)
        }
    }

    private mutating func visit(_ person: inout Person) {
        person.ofVisit = []
        for trait in journey.traits where trait.isOfVisit { person.ofVisit += draw(trait, &person.facts) }
        for (i, stage) in journey.stages.enumerated() where i == 0 || i >= person.reached {
            if happens(stage, to: person) {
                perform(stage, &person)
                person.reached = max(person.reached, i + 1)
            } else if !stage.isOptional {
                for other in stage.otherwise where happens(other, to: person) { return perform(other, &person) }
                return
            }
        }
    }

    private mutating func happens(_ stage: Journey.Stage, to person: Person) -> Bool {
        deliveries.random.chance(stage.but.reduce(stage.percent) { person.facts.contains($1.key) ? $0 + $1.value : $0 })
    }

    private mutating func perform(_ stage: Journey.Stage, _ person: inout Person) {
        let name = pick(stage.events)
        let own = stage.properties.map { JSONValue.Member(ByteString($0.key), value($0.value, of: $0.key, &person)) }
        var time = pass(deliveries.random.skewed(stage.after), from: person.time)
        if stage.earlyPercent > 0, deliveries.random.chance(stage.earlyPercent) {
            time = person.time - 3_600 * (1 + deliveries.random.below(18))
        } else {
            person.time = time
        }
        let milliseconds = Int64(time) * 1_000 + Int64(deliveries.random.below(1_000))
        deliveries.add(user: person.id, name, start + milliseconds * 1_000, person.traits + person.ofVisit + own)
        person.ofVisit = []
        person.facts.insert(name)
    }

    /// Delays of a night and more end at a busy hour of a later day.
    private mutating func pass(_ delay: Int, from now: Int) -> Int {
        delay < 43_200 ? now + delay : time(on: (now + delay + 43_200) / 86_400)
    }

    private mutating func time(on day: Int) -> Int {
        let today = (weekday + day) % 7
        let moved = journey.hasWeekends || today < 5 ? day : day + 7 - today
        return moved * 86_400 + deliveries.random.index(weights: journey.hours) * 3_600 + deliveries.random.below(3_600)
    }

    private mutating func draw(_ trait: Journey.Trait, _ facts: inout Set<String>) -> [JSONValue.Member] {
        let names = trait.names.split(separator: " ").map(String.init)
        let values = pick(trait.values).split(separator: " ").map(String.init)
        return zip(names, values).map { name, value in
            facts.insert("\(name)=\(value)")
            return .init(ByteString(name), .text(value))
        }
    }

    private mutating func value(_ value: Journey.Value, of name: String, _ person: inout Person) -> JSONValue {
        if let known = person.drawn[name] { return known }
        let new: JSONValue
        switch value {
        case .fixed(let text): return .text(text)
        case .text(let choices):
            let text = pick(choices)
            person.facts.insert("\(name)=\(text)")
            new = .text(text)
        case .number(let range): new = .count(range.lowerBound + deliveries.random.below(range.count))
        case .numberBy(let ranges):
            let range = ranges.first { person.facts.contains($0.key) }?.value ?? 1...1
            new = .count(range.lowerBound + deliveries.random.below(range.count))
        }
        person.drawn[name] = new
        return new
    }

    private mutating func pick(_ choices: KeyValuePairs<String, Int>) -> String {
        choices[deliveries.random.index(weights: choices.map(\.value))].key
    }
}
