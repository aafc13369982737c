extension Timestamp {
    /// `parse` without a copy of the text for the most frequent forms: digits, or `YYYY-MM-DDTHH:MM:SS[.fraction]`, followed by
    /// nothing, `Z` or `±HH:MM`. All others go to `parse`.
    static func scan(_ text: Span<UInt8>) throws(Fault) -> Int64 {
        if let time = scannedDateTime(text) { return time }
        if let time = try fromDecimal(text) { return time }
        return try parse(ByteString(unsafe text.withUnsafeBufferPointer { unsafe Array($0) }))
    }

    private static func scannedDateTime(_ text: Span<UInt8>) -> Int64? {
        guard text.count >= 19, text[4] == 45, text[7] == 45, text[10] == 84 || text[10] == 32, text[13] == 58, text[16] == 58 else {
            return nil
        }
        // A pair that is no number gives 100, which fails every test below.
        let century = pair(text, 0)
        let yearInCentury = pair(text, 2)
        let month = pair(text, 5)
        let day = pair(text, 8)
        let hour = pair(text, 11)
        let minute = pair(text, 14)
        let second = pair(text, 17)
        // The last days of a month are left to `parse`, which knows how many there are.
        guard century < 100, yearInCentury < 100, month >= 1, month <= 12, day >= 1, day <= 28 || (day <= 30 && month != 2) else {
            return nil
        }
        guard hour < 24, minute < 60, second < 60, let rest = fractionAndZone(text) else { return nil }
        let days = Timestamp.days(year: century &* 100 &+ yearInCentury, month: month, day: day)
        return ((days &* 24 &+ hour) &* 60 &+ minute) &* 60_000_000 &+ second &* 1_000_000 &+ rest
    }

    /// The microseconds to add for the text after the seconds; nil if it has another form.
    private static func fractionAndZone(_ text: Span<UInt8>) -> Int64? {
        var at = 19
        var fraction: Int64 = 0
        if at < text.count, text[at] == UInt8(ascii: ".") {
            at &+= 1
            var scale: Int64 = 1_000_000
            let first = at
            while at < text.count, text[at] &- 48 <= 9 {
                scale /= 10
                fraction &+= Int64(text[at] &- 48) &* scale
                at &+= 1
            }
            guard at > first, at &- first <= 9 else { return nil }
        }
        if at == text.count || (at &+ 1 == text.count && text[at] == UInt8(ascii: "Z")) { return fraction }
        guard at &+ 6 == text.count, text[at] == 43 || text[at] == 45, text[at &+ 3] == 58 else { return nil }
        let hours = pair(text, at &+ 1)
        let minutes = pair(text, at &+ 4)
        guard hours < 24, minutes < 60 else { return nil }
        let offset = (hours &* 60 &+ minutes) &* 60_000_000
        return text[at] == 45 ? fraction &+ offset : fraction &- offset
    }

    /// Two digits as a number; 100 if they are no digits.
    @inline(__always)
    private static func pair(_ text: Span<UInt8>, _ at: Int) -> Int64 {
        let high = text[at] &- 48
        let low = text[at &+ 1] &- 48
        return high <= 9 && low <= 9 ? Int64(high) &* 10 &+ Int64(low) : 100
    }
}
