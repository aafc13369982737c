import FunnelModel

/// `"compare": "previous_period"` of a query.
enum CompareRequest {
    /// Reads `compare`.
    /// - Parameter range: the range of the query.
    /// - Returns: the range of the same length that ends where the query's begins, in microseconds; between two whole days,
    ///   of as many days.
    static func read(_ reader: inout FieldReader, range: Range<Int64>?, zone: ByteString?) -> Range<Int64>? {
        guard let text = reader.string("compare") else { return nil }
        guard text == "previous_period" else {
            reader.faultAt("compare", "must be \"previous_period\"; \"\(text.string.prefix(40))\" is not")
            return nil
        }
        let bounds = ["start", "end"].map { reader.value($0)?.asString }
        guard let first = bounds[0], let last = bounds[1] else {
            reader.faultAt("compare", "needs \"start\" and \"end\"")
            return nil
        }
        // Bounds that can't be read have faults of their own.
        guard let range, range.lowerBound > Int64.min, range.upperBound < Int64.max else { return nil }
        guard let firstDay = QueryRequest.day(first), let lastDay = QueryRequest.day(last),
            let calendar = DayCalendar(zone: zone?.string ?? "UTC"), let from = try? Timestamp.parse(firstDay),
            let to = try? Timestamp.parse(lastDay)
        else { return range.lowerBound - (range.upperBound - range.lowerBound)..<range.lowerBound }
        // Days, since they have 23 to 25 hours where clocks change.
        guard let start = calendar.start(ofDay: from - (to - from) - 86_400_000_000), start <= range.lowerBound else {
            reader.faultAt("compare", "reaches before the calendar begins")
            return nil
        }
        return start..<range.lowerBound
    }
}
