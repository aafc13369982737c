import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of how far each user got.
final class OutcomeReader {
    private let slicePlaces: Int
    private var kernel: Kernel?
    private var narrowed: NarrowedReader?
    private let general: HistoryReader?
    private var matcher: RuleMatcher
    private var history = GeneralScan.History()
    private let heavy: HeavyUsers

    private struct Kernel: ~Copyable {
        let listOfStep: [Int]
        let reader: KernelReader
        var attempts: AttemptScan

        mutating func each(_ slice: Range<Int>, _ body: (Int, Reach) -> Void) throws {
            try reader.load(slice)
            attempts.scan(reader.lists, listOfStep: listOfStep)
            attempts.outcomes.each(slice, body)
        }
    }

    convenience init(_ query: ShardQuery, _ strategy: MatchStrategy, for list: UserList) {
        self.init(query, strategy, includeShallow: list.includesShallow, tellsOpen: list.isOfOpen)
    }

    /// A reader of a query's users.
    /// - Parameters:
    ///   - includeShallow: whether users who only reached step 1 are needed; if not, they may or may not be passed to `body`.
    ///   - tellsOpen: whether `Reach.isOpen` is needed; if not, it may be false for everybody.
    init(_ query: ShardQuery, _ strategy: MatchStrategy, includeShallow: Bool, tellsOpen: Bool) {
        matcher = RuleMatcher(query.plan, isCancelled: query.view.isCancelled)
        heavy = query.heavy
        slicePlaces = strategy.slicePlaces
        if case .attempts(let plan) = strategy, let attempts = Self.attempts(plan.rules, includeShallow, tellsOpen) {
            kernel = Kernel(listOfStep: plan.listOfStep, reader: KernelReader(plan), attempts: attempts)
            general = nil
        } else if case .narrowed(let plan) = strategy, let reader = NarrowedReader(plan) {
            narrowed = reader
            general = nil
        } else {
            kernel = nil
            general = HistoryReader(query)
        }
    }

    private static func attempts(_ rules: KernelRules, _ includeShallow: Bool, _ tellsOpen: Bool) -> AttemptScan? {
        var rules = rules
        if !tellsOpen { rules.openFrom = nil }
        return AttemptScan(rules, includeShallow: includeShallow)
    }

    /// Matches the users of some places.
    /// - Parameter body: called with the place of each user who entered, and how far the user got.
    func each(in places: Range<Int>, _ isCancelled: () -> Bool, _ body: (Int, Reach) -> Void) throws {
        for start in stride(from: places.lowerBound, to: places.upperBound, by: slicePlaces) {
            if isCancelled() { throw MatchError.cancelled }
            try read(start..<min(places.upperBound, start + slicePlaces), body)
        }
    }

    /// Reads a slice, in halves if its users have more events than may be read at once.
    private func read(_ slice: Range<Int>, _ body: (Int, Reach) -> Void) throws {
        do {
            return try tell(slice, body)
        } catch let error as StoreError where error.code == .tooManyRows {
            guard slice.count > 1 else { return try heavy.meetCrowd(slice.lowerBound) }
        }
        let middle = slice.lowerBound + slice.count / 2
        try read(slice.lowerBound..<middle, body)
        try read(middle..<slice.upperBound, body)
    }

    private func tell(_ slice: Range<Int>, _ body: (Int, Reach) -> Void) throws {
        try kernel?.each(slice, body)
        if let narrowed {
            try narrowed.load(slice)
            narrowed.outcomes.each(slice, body)
        }
        guard let general else { return }
        general.load(slice)
        while try general.next(&history) {
            let place = history.place
            try heavy.at(place) { try matcher.match(history.events) { body(place, $0.reach) } }
        }
    }
}

extension SliceOutcomes {
    fileprivate func each(_ slice: Range<Int>, _ body: (Int, Reach) -> Void) {
        for i in 0..<count { body(slice.lowerBound + Int(user[i]), reach(i)) }
    }

    func reach(_ i: Int) -> Reach { Reach(depth: Int(depth[i]), isOpen: openDepth[i] > 0) }
}

extension UserOutcome {
    var reach: Reach { Reach(depth: depth, skipped: skipped, isOpen: openDepth > 0) }
}
