import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/query`, checked. Saved funnels and names of steps are looked up later.
package struct QueryRequest: Sendable {
    enum Subject: Sendable {
        case definition(FunnelDefinition)
        case saved(ByteString)
        /// The default funnel.
        case defaultFunnel
    }

    var subject: Subject
    /// Range of step-1 times, in microseconds since 1970 UTC; nil = all.
    package var entryRange: Range<Int64>?
    package var asOf: Int64
    var times = true
    /// Only users of this cohort count.
    package var cohort: CohortRequest?
    /// These replace the definition's; `sessionGap` is in microseconds.
    package var countBy: FunnelDefinition.CountBy?
    package var sessionGap: Microseconds?
    /// At most one of these three.
    package var breakdown: BreakdownRequest?
    package var trend: TrendRequest?
    package var variants: VariantRequest?
    package var segments: [SegmentRequest] = []
    /// Step-1 times of the period to compare with.
    package var previous: Range<Int64>?
    var allowPartial = false
    /// Whether users who are too heavy are left out; otherwise they are an error.
    var leavesOutHeavy = false
    var deadline: Duration = defaultDeadline

    /// What to do with users who are too heavy.
    enum HeavyRule: String, CaseIterable {
        case error
        case leaveOut = "leave_out"
    }

    static let defaultDeadline: Duration = .seconds(30)
    private static let deadlines: ClosedRange<Microseconds> = 1_000...600_000_000

    init(subject: Subject, entryRange: Range<Int64>?, asOf: Int64, allowPartial: Bool) {
        self.subject = subject
        self.entryRange = entryRange
        self.asOf = asOf
        self.allowPartial = allowPartial
    }

    /// Reads and checks the body. Throws all faults at once. `now`, in microseconds, is the default of `as_of`.
    package static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> QueryRequest {
        var reader = FieldReader(document)
        let request = read(&reader, now: now)
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return request
    }

    static func read(_ reader: inout FieldReader, now: Int64) -> QueryRequest {
        var request = QueryRequest(subject: .defaultFunnel, entryRange: nil, asOf: now, allowPartial: false)
        request.variants = VariantRequest.read(&reader)
        if reader.value("variants")?["funnels"] != nil {
            if case .funnels(let funnels)? = request.variants { request.subject = funnels[0].subject }
            for key in ["funnel", "funnel_id"] as [ByteString] where reader.value(key) != nil {
                reader.faultAt(key, "and \"variants.funnels\" exclude each other: the first of the two is the query's own")
            }
        } else {
            request.subject = readSubject(&reader)
        }
        let zone = reader.string("time_zone")
        request.entryRange = readRange(&reader, zone: zone, from: "start", to: "end")
        if let text = reader.string("as_of") {
            if let time = try? Timestamp.parse(text), time >= Limits.earliestTimestamp, Limits.storableTimes.contains(time) {
                request.asOf = time
            } else {
                reader.faultAt("as_of", "must be an RFC 3339 instant after 1971; \"\(text.string.prefix(40))\" is not")
            }
        }
        if let text = reader.string("times") {
            if text != "summary", text != "none" { reader.faultAt("times", "must be \"summary\" or \"none\"") }
            request.times = text != "none"
        }
        request.allowPartial = reader.bool("allow_partial") ?? false
        let heavy: HeavyRule? = reader.choice("heavy_users")
        request.leavesOutHeavy = heavy == .leaveOut
        if let deadline = reader.duration("deadline", in: deadlines) { request.deadline = .microseconds(deadline.count) }
        request.breakdown = BreakdownRequest.read(&reader)
        request.trend = TrendRequest.read(&reader, zone: zone)
        for (key, other) in [("trend", "breakdown"), ("variants", "breakdown"), ("variants", "trend")] as [(ByteString, ByteString)]
        where reader.value(key) != nil && reader.value(other) != nil {
            reader.faultAt(key, "and \"\(other.string)\" exclude each other; ask for one at a time")
        }
        request.cohort = CohortRequest.read(&reader)
        request.countBy = FunnelDefinition.readCountBy(&reader)
        request.sessionGap = FunnelDefinition.readSessionGap(&reader)
        request.segments = SegmentRequest.readList(&reader)
        request.previous = CompareRequest.read(&reader, range: request.entryRange, zone: zone)
        return request
    }

    /// Reads `"funnel"` or `"funnel_id"`, of which one is required.
    static func readSubject(_ reader: inout FieldReader) -> Subject {
        let inline = reader.value("funnel")
        let name = reader.string("funnel_id")
        if inline != nil, name != nil { reader.faultAt("funnel_id", "and \"funnel\" exclude each other") }
        if let name { return .saved(name) }
        guard let inline else {
            reader.faultAt("funnel", "or \"funnel_id\" is required")
            return .defaultFunnel
        }
        do {
            return .definition(try FunnelDefinition.parse(inline, path: reader.path + "funnel."))
        } catch {
            reader.merge(error.faults)
            return .defaultFunnel
        }
    }

    /// Reads a range of times, in microseconds. Dates are whole days in `zone`, the last one included; instants make a half-open
    /// range.
    static func readRange(_ reader: inout FieldReader, zone: ByteString?, from: ByteString, to: ByteString) -> Range<Int64>? {
        let calendar = DayCalendar(zone: zone?.string ?? "UTC")
        if calendar == nil { reader.faultAt("time_zone", "\"\(zone?.string.prefix(60) ?? "")\" is not an IANA time zone") }
        let days = calendar ?? .utc
        let start = readBound(&reader, from, days, isEnd: false)
        let end = readBound(&reader, to, days, isEnd: true)
        if start == nil, end == nil { return nil }
        if let first = day(reader.value(from)?.asString), let last = day(reader.value(to)?.asString), last < first {
            reader.faultAt(to, "is before \(from.string)")
            return nil
        }
        let low = start ?? Int64.min
        let high = end ?? Int64.max
        guard low <= high else {
            reader.faultAt(to, "is before \(from.string)")
            return nil
        }
        return low..<high
    }

    /// The text of a bound if it is a date. Such texts sort as their days do.
    static func day(_ bound: ByteString?) -> ByteString? { bound.flatMap { $0.count == 10 ? $0 : nil } }

    private static func readBound(_ reader: inout FieldReader, _ key: ByteString, _ days: DayCalendar, isEnd: Bool) -> Int64? {
        guard let text = reader.string(key) else { return nil }
        do throws(Timestamp.Fault) {
            let (time, hasZone) = try Timestamp.read(text)
            guard text.bytes.contains(UInt8(ascii: "-")) else { throw Timestamp.Fault(reason: "a number is not a date") }
            guard text.count == 10 else {
                // Without an offset it could be meant in `time_zone`, so an offset is required.
                guard hasZone else { throw Timestamp.Fault(reason: "an instant needs Z or an offset") }
                return time
            }
            guard let bound = isEnd ? days.end(ofDay: time) : days.start(ofDay: time) else {
                throw Timestamp.Fault(reason: "no such day")
            }
            return bound
        } catch {
            reader.faultAt(key, "must be YYYY-MM-DD or an RFC 3339 instant: \(error.reason)")
            return nil
        }
    }
}
