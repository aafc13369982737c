import FunnelMatch
import FunnelModel
import FunnelStorage

/// One thread's reader of how far users got.
final class OutcomeReader {
    private let slicePlaces: Int
    private var kernel: Kernel?
    private var narrowed: NarrowedReader?
    private let general: HistoryReader?
    private var matcher: HistoryMatcher
    private var history = GeneralScan.History()

    private struct Kernel: ~Copyable {
        let listOfStep: [Int]
        let reader: KernelReader
        var attempts: AttemptScan

        mutating func each(_ slice: Range<Int>, _ body: (Int, Int, UInt64) -> Void) throws {
            try reader.load(slice)
            attempts.scan(reader.lists, listOfStep: listOfStep)
            attempts.outcomes.each(slice, body)
        }
    }

    /// - Parameter includeShallow: users who only reached step 1 are asked for too; if not, they may still be told.
    init(_ scan: FunnelScan, _ way: Way, includeShallow: Bool) {
        matcher = HistoryMatcher(scan.plan)
        slicePlaces = way.slicePlaces
        if case .attempts(let plan) = way, let attempts = Self.attempts(plan.rules, includeShallow: includeShallow) {
            kernel = Kernel(listOfStep: plan.listOfStep, reader: KernelReader(plan), attempts: attempts)
            general = nil
        } else if case .narrowed(let plan) = way, let reader = NarrowedReader(plan) {
            narrowed = reader
            general = nil
        } else {
            kernel = nil
            general = HistoryReader(scan)
        }
    }

    /// Who can still go on makes no difference here.
    private static func attempts(_ rules: KernelRules, includeShallow: Bool) -> AttemptScan? {
        var rules = rules
        rules.openFrom = nil
        return AttemptScan(rules, includeShallow: includeShallow)
    }

    /// - Parameter body: told the place of each user who entered, the depth reached, and the optional steps that were
    ///   skipped, as bits.
    func each(in places: Range<Int>, _ isCancelled: () -> Bool, _ body: (Int, Int, UInt64) -> Void) throws {
        for start in stride(from: places.lowerBound, to: places.upperBound, by: slicePlaces) {
            let slice = start..<min(places.upperBound, start + slicePlaces)
            try kernel?.each(slice, body)
            if let narrowed {
                try narrowed.load(slice)
                narrowed.outcomes.each(slice, body)
            }
            guard let general else { continue }
            general.load(slice)
            while try general.next(&history) {
                let place = history.place
                try matcher.match(history.events, isCancelled: isCancelled) { body(place, $0.depth, $0.skipped) }
            }
        }
    }
}

extension SliceOutcomes {
    fileprivate func each(_ slice: Range<Int>, _ body: (Int, Int, UInt64) -> Void) {
        for i in 0..<count { body(slice.lowerBound + Int(user[i]), Int(depth[i]), 0) }
    }
}
