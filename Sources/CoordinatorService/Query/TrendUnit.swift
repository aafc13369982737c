import FunnelModel

/// The length of a bucket of a trend.
package enum TrendUnit: String, CaseIterable, Sendable {
    case hour, day
    /// From Monday.
    case week
    case month
}

extension DayCalendar {
    /// The bounds of the buckets that cover a range: the first at or before its start, the last at or after its end.
    ///
    /// - Parameter range: microseconds, not empty.
    /// - Returns: ascending microseconds; nil if there are more than `limit` buckets.
    package func bounds(of unit: TrendUnit, covering range: Range<Int64>, limit: Int) -> [Int64]? {
        var bounds: [Int64]
        var day: Int64 = 0
        if unit == .hour {
            bounds = [hourStart(at: Timestamp.floorDivide(range.lowerBound, 1_000_000)) * 1_000_000]
        } else {
            day = unit.firstDay(of: self.day(at: range.lowerBound))
            bounds = [start(day)]
        }
        while bounds[bounds.count - 1] < range.upperBound {
            let last = bounds[bounds.count - 1]
            let next: Int64
            if unit == .hour {
                next = nextHour(after: last / 1_000_000) * 1_000_000
            } else {
                day = unit.nextFirstDay(after: day)
                next = start(day)
            }
            // A day that a zone left out, by crossing the date line, has no bucket.
            if next <= last { continue }
            if bounds.count > limit { return nil }
            bounds.append(next)
        }
        return bounds
    }

    /// The start of a day in microseconds; `day` is in days since 1970-01-01.
    private func start(_ day: Int64) -> Int64 { start(ofDay: day * 86_400_000_000) ?? day * 86_400_000_000 }

    /// The local day of an instant: the day that has begun and whose next day has not.
    private func day(at instant: Int64) -> Int64 {
        let second = Timestamp.floorDivide(instant, 1_000_000)
        var day = Timestamp.floorDivide(second + offset(at: second), 86_400)
        // Where clocks go back over midnight, a day's last hour shows the next day's date.
        while start(day) > instant { day -= 1 }
        while start(day + 1) <= instant { day += 1 }
        return day
    }

    // MARK: - Hours

    // An hour begins whenever the zone's clock shows a full hour. Some zones have offsets that are not whole hours, and some change
    // by half an hour.

    private static let hour: Int64 = 3_600

    /// The last full hour at or before a second.
    private func hourStart(at second: Int64) -> Int64 {
        var at = second
        while true {
            let ahead = offset(at: at)
            let shown = at - Self.pastHour(at + ahead)
            if offset(at: shown) == ahead { return shown }
            // The clock was changed since: it did not show this hour. It may have shown one before the change.
            at = change(after: shown, until: at) - 1
        }
    }

    /// The first full hour after a second.
    private func nextHour(after second: Int64) -> Int64 {
        var at = second
        while true {
            let ahead = offset(at: at)
            let shown = at + Self.hour - Self.pastHour(at + ahead)
            if offset(at: shown) == ahead { return shown }
            at = change(after: at, until: shown)
            if Self.pastHour(at + offset(at: at)) == 0 { return at }
        }
    }

    /// The first second after `before` with another offset; `after` must have another one.
    private func change(after before: Int64, until after: Int64) -> Int64 {
        let ahead = offset(at: before)
        var low = before
        var high = after
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if offset(at: middle) == ahead { low = middle } else { high = middle }
        }
        return high
    }

    /// Seconds since the full hour.
    private static func pastHour(_ local: Int64) -> Int64 { local - Timestamp.floorDivide(local, hour) * hour }
}

extension TrendUnit {
    /// The first day of the bucket of a day; days since 1970-01-01, a Thursday.
    fileprivate func firstDay(of day: Int64) -> Int64 {
        switch self {
        case .hour, .day: return day
        case .week: return Timestamp.floorDivide(day + 3, 7) * 7 - 3
        case .month:
            let (year, month, _) = Timestamp.civil(day: day)
            return Timestamp.days(year: year, month: month, day: 1)
        }
    }

    fileprivate func nextFirstDay(after first: Int64) -> Int64 {
        switch self {
        case .hour, .day: return first + 1
        case .week: return first + 7
        // No month has more than 31 days, and none fewer than 28.
        case .month: return firstDay(of: first + 31)
        }
    }
}
