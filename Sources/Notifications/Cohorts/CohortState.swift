import FunnelModel

/// What became of a cohort's runs, as a value. Its owner stores it after each change, together with the lists that it names.
package struct CohortState: Equatable, Sendable {
    /// A run whose pages are being sent.
    package struct Delivery: Equatable, Sendable {
        /// The list that is being sent.
        package var run: UInt64
        /// Pages that the receiver acknowledged.
        package var pages: Int
    }

    /// The list that the receiver has; nil: it has none.
    package private(set) var held: UInt64?
    package private(set) var delivery: Delivery?
    /// A list that is being read, or was when the process ended. It is not used.
    package private(set) var reading: UInt64?
    /// No run has a number up to this one.
    private var lastRun: UInt64
    /// When the next run, or the next attempt, may begin, in microseconds since 1970.
    package private(set) var next: Int64
    /// Failed attempts in a row.
    package private(set) var attempts: Int
    /// When the run that is being delivered began, and whether another one follows at once.
    private var began: Int64
    private var isWanted: Bool
    package private(set) var members: Int?
    package private(set) var delivered: Int64?
    package private(set) var problem: String?

    package init(next: Int64, problem: String? = nil) {
        self.next = next
        self.problem = problem
        lastRun = 0
        attempts = 0
        began = next
        isWanted = false
    }

    /// Lists that are stored.
    package var lists: [UInt64] { [held, delivery?.run, reading].compactMap { $0 } }

    package func isDue(_ now: Int64) -> Bool { next <= now }

    // MARK: - Changes

    /// Wants a run now. If one is being delivered, its next page is sent now and another run follows.
    package mutating func want(now: Int64) {
        next = now
        attempts = 0
        isWanted = delivery != nil
    }

    /// Another receiver, which has nothing. Numbers of runs go on, since receivers may remember keys.
    package func restarted(now: Int64) -> CohortState {
        var state = CohortState(next: now)
        state.lastRun = lastRun
        return state
    }

    // MARK: - A run

    /// Begins to read the list of a new run.
    /// - Returns: its number.
    package mutating func beginReading(now: Int64) -> UInt64 {
        let run = max(lastRun + 1, UInt64(max(now, 0) / 1_000))
        lastRun = run
        reading = run
        began = now
        return run
    }

    /// The whole list is stored; its pages are to be sent.
    package mutating func finishReading(members: Int, now: Int64) {
        guard let run = reading else { return }
        reading = nil
        delivery = Delivery(run: run, pages: 0)
        self.members = members
        next = now
        attempts = 0
        problem = nil
    }

    /// The receiver acknowledged a page.
    package mutating func acknowledge() {
        delivery?.pages += 1
        attempts = 0
        problem = nil
    }

    /// All pages are acknowledged, or there was none.
    package mutating func finishDelivery(every: Microseconds, now: Int64) {
        guard let run = delivery?.run else { return }
        held = run
        delivery = nil
        delivered = now
        next = isWanted ? now : max(began + every.count, now)
        isWanted = false
        attempts = 0
        problem = nil
    }

    /// Neither list nor page came through; it is tried again after the pause of the outbox.
    /// - Parameter seconds: what the receiver asks to wait.
    package mutating func fail(_ reason: String, after seconds: Int64? = nil, now: Int64, jitter: Double) {
        attempts = min(attempts + 1, 1_000)
        let asked = min(max(seconds ?? 0, 0), Outbox.retryAfterSecondsMax) * 1_000_000
        next = now + max(asked, Outbox.delay(attempts: attempts, jitter: jitter))
        problem = reason.cut(toBytes: NoticeLimits.reasonBytes)
    }

    /// The run cannot succeed; the next one begins at its time.
    package mutating func giveUp(_ reason: String, every: Microseconds, now: Int64) {
        next = max(began + every.count, now)
        attempts = 0
        problem = reason.cut(toBytes: NoticeLimits.reasonBytes)
    }
}

// MARK: - JSON

extension CohortState {
    /// As people see it.
    package var shown: JSONValue {
        func time(_ time: Int64?) -> JSONValue { time.map { .text(Timestamp.format($0)) } ?? .null }
        func number(_ number: UInt64?) -> JSONValue { number.map { .integer(Int64(clamping: $0)) } ?? .null }
        return [
            "next": time(Limits.storableTimes.contains(next) ? next : nil), "run": number(delivery?.run ?? held),
            "pages": delivery.map { .count($0.pages) } ?? .null, "members": members.map { .count($0) } ?? .null,
            "delivered": time(delivered), "problem": problem.map { .text($0) } ?? .null,
        ]
    }

    /// As it is stored.
    package var stored: JSONValue {
        func number(_ number: UInt64?) -> JSONValue { number.map { .integer(Int64(clamping: $0)) } ?? .null }
        return [
            "held": number(held), "run": number(delivery?.run), "pages": .count(delivery?.pages ?? 0), "reading": number(reading),
            "last_run": number(lastRun), "next": .integer(next), "attempts": .count(attempts), "began": .integer(began),
            "is_wanted": .bool(isWanted), "members": members.map { .count($0) } ?? .null,
            "delivered": delivered.map { .integer($0) } ?? .null, "problem": problem.map { .text($0) } ?? .null,
        ]
    }

    /// Reads what `stored` wrote; nil if it has another form.
    package init?(_ value: JSONValue) {
        func number(_ key: ByteString) -> UInt64? { value[key]?.asInteger.flatMap { UInt64(exactly: $0) } }
        func count(_ key: ByteString) -> Int? { value[key]?.asInteger.flatMap { $0 >= 0 ? Int(exactly: $0) : nil } }
        guard let next = value["next"]?.asInteger, let lastRun = number("last_run"), lastRun < Int64.max, let pages = count("pages"),
            let attempts = count("attempts"), let began = value["began"]?.asInteger, let isWanted = value["is_wanted"]?.asBool,
            Limits.storableTimes.contains(began)
        else { return nil }
        self.next = next
        self.lastRun = lastRun
        self.attempts = attempts
        self.began = began
        self.isWanted = isWanted
        held = number("held")
        reading = number("reading")
        delivery = number("run").map { Delivery(run: $0, pages: pages) }
        members = count("members")
        delivered = value["delivered"]?.asInteger
        problem = value["problem"]?.asString?.string
    }
}
