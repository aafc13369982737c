import FunnelModel

/// The numbers of one answer of `POST /v1/query` that rules need.
package struct AlertAnswer: Equatable, Sendable {
    package struct Step: Equatable, Sendable {
        package var count: UInt64
        /// Count of the nearest required step before; nil for step 1.
        package var previous: UInt64?
        /// Seconds from step 1 and from the step before; nil without users, and in groups.
        package var median: Double?
        package var medianFromPrevious: Double?

        package init(count: UInt64, previous: UInt64?, median: Double? = nil, medianFromPrevious: Double? = nil) {
            self.count = count
            self.previous = previous
            self.median = median
            self.medianFromPrevious = medianFromPrevious
        }
    }

    /// By step. Of the whole under `AlertGroup.whole`, of each value of a breakdown under its own.
    package var steps: [AlertGroup: [Step]]
    /// Whether a breakdown has values that the answer does not list.
    package var hasMore: Bool

    package init(_ steps: [AlertGroup: [Step]], hasMore: Bool = false) {
        self.steps = steps
        self.hasMore = hasMore
    }

    /// Reads the document of an answer; nil if it is none.
    package init?(report: JSONValue) {
        guard let rows = report["steps"]?.asArray else { return nil }
        // A required step after the first has a drop-off.
        let isRequired = rows.enumerated().map { i, row in i == 0 || row["dropoff"]?.asInteger != nil }
        guard let whole = Self.steps(rows, isRequired) else { return nil }
        steps = [.whole: whole]
        hasMore = false
        guard let breakdown = report["breakdown"], breakdown != .null else { return }
        guard let groups = breakdown["rows"]?.asArray else { return nil }
        for group in groups {
            guard let rows = group["steps"]?.asArray, let read = Self.steps(rows, isRequired) else { return nil }
            // Users without a value are no group.
            if let value = group["value"].flatMap({ PropertyValue(scalar: $0) }) { steps[AlertGroup(value)] = read }
        }
        hasMore = breakdown["other"].map { $0 != .null } ?? false
    }

    /// Sums of several cannot overflow.
    private static let counts: ClosedRange<Int64> = 0...1 << 40

    private static func steps(_ rows: [JSONValue], _ isRequired: [Bool]) -> [Step]? {
        guard rows.count == isRequired.count else { return nil }
        var steps: [Step] = []
        var previous: UInt64?
        for (row, isRequired) in zip(rows, isRequired) {
            guard let count = row["count"]?.asInteger, counts.contains(count) else { return nil }
            let step = Step(
                count: UInt64(count), previous: previous, median: row["median_seconds"]?.asDouble,
                medianFromPrevious: row["median_seconds_from_previous"]?.asDouble)
            steps.append(step)
            if isRequired { previous = step.count }
        }
        return steps
    }
}

/// What one answer says of a rule's metric in one group.
struct AlertSample: Equatable, Sendable {
    /// Users of the count, of the share's numerator, or behind the median.
    var count: UInt64 = 0
    /// Users of the share's denominator.
    var base: UInt64 = 0
    var seconds: Double?

    /// Of a group that nobody is in.
    init() {}

    init(_ metric: AlertMetric, _ steps: [AlertAnswer.Step], position: Int) {
        guard steps.indices.contains(position), let first = steps.first else { return }
        let step = steps[position]
        let previous = step.previous ?? first.count
        count = step.count
        switch metric.kind {
        case .count: break
        case .conversion: base = metric.start == .first ? first.count : previous
        case .dropOff:
            base = previous
            count = previous - min(previous, step.count)
        case .medianTime: seconds = metric.start == .first ? step.median : step.medianFromPrevious
        }
    }

    /// The metric's value: users, a fraction or seconds; nil without users under it.
    func value(_ kind: AlertMetric.Kind) -> Double? {
        switch kind {
        case .count: Double(count)
        case .conversion, .dropOff: base == 0 ? nil : Double(count) / Double(base)
        case .medianTime: seconds
        }
    }

    /// Users that a rule's min sample is about.
    func sample(_ kind: AlertMetric.Kind) -> UInt64 {
        switch kind {
        case .conversion, .dropOff: base
        case .count, .medianTime: count
        }
    }
}
