/// Times in microseconds since 1970-01-01T00:00:00Z, and their text forms (`FUNNEL.md` section 1, "Timestamps").
package enum Timestamp {
    /// Why a text or a number is not accepted as a time. The reason is a predicate; the caller adds the field.
    package struct Fault: Error, Equatable, Sendable {
        package var reason: String

        package static let tooFarAhead = Fault(reason: "is more than 24 h ahead of the server's clock")

        package init(reason: String) { self.reason = reason }
    }

    /// Parses ISO 8601 with `T` or a space and any offset, `Z`, `UTC` or `GMT`, also after a space (no zone is UTC); a date
    /// alone; or a number since 1970, whose size decides the unit.
    package static func parse(_ text: ByteString) throws(Fault) -> Int64 { try read(text).time }

    /// The same, and whether the text has a zone or is a number.
    /// - Returns: without a zone, the time as if it were in UTC.
    package static func read(_ text: ByteString) throws(Fault) -> (time: Int64, hasZone: Bool) {
        if let time = try fromDecimal(text.bytes.span) { return (time, true) }
        var scan = Scanner(bytes: text.bytes)
        let day = try scan.date()
        if scan.atEnd { return (day, false) }
        return try scan.timeOfDay(on: day)
    }

    /// Factor and divisor from a number of this size to microseconds: seconds below 1e11, milliseconds below 1e14, microseconds
    /// below 1e17, else nanoseconds.
    private static func scale(of value: Int64) -> (multiply: Int64, divide: Int64) {
        switch value {
        case ..<100_000_000_000: (1_000_000, 1)
        case ..<100_000_000_000_000: (1_000, 1)
        case ..<100_000_000_000_000_000: (1, 1)
        default: (1, 1_000)
        }
    }

    /// The time of a number whose text is not known; digits below a microsecond are cut.
    package static func fromNumber(_ value: Double) throws(Fault) -> Int64 {
        guard value.isFinite, value >= 0 else { throw Fault(reason: "is not a positive number") }
        guard value < 9e18 else { throw Fault(reason: "is out of range") }
        let scale = scale(of: Int64(value))
        return Int64((value * Double(scale.multiply) / Double(scale.divide)).rounded(.down))
    }

    package static func fromInteger(_ value: Int64) throws(Fault) -> Int64 {
        guard value >= 0 else { throw Fault(reason: "is not a positive number") }
        let scale = scale(of: value)
        return value * scale.multiply / scale.divide
    }

    /// The exact time of digits with an optional fraction; nil if the text is anything else.
    package static func fromDecimal(_ text: Span<UInt8>) throws(Fault) -> Int64? {
        var at = 0
        var whole: Int64 = 0
        var isOver = false
        while at < text.count, text[at] &- 48 <= 9 {
            let (tens, over) = whole.multipliedReportingOverflow(by: 10)
            let (sum, overSum) = tens.addingReportingOverflow(Int64(text[at] &- 48))
            whole = sum
            isOver = isOver || over || overSum
            at += 1
        }
        guard at > 0 else { return nil }
        let scale = scale(of: whole)
        var time = isOver ? 0 : whole * scale.multiply / scale.divide
        if at < text.count {
            guard text[at] == UInt8(ascii: "."), at + 1 < text.count else { return nil }
            var place = scale.multiply
            for i in (at + 1)..<text.count {
                let digit = text[i] &- 48
                guard digit <= 9 else { return nil }
                place /= 10
                time += Int64(digit) * place
            }
        }
        if isOver { throw Fault(reason: "is out of range") }
        return time
    }

    /// Checks a client's timestamp against the server's clock, once, on arrival.
    package static func checkRange(_ microseconds: Int64, now: Int64) throws(Fault) {
        if microseconds < Limits.earliestTimestamp { throw Fault(reason: "is before 1971-01-01") }
        if microseconds > now + Limits.futureMicroseconds { throw .tooFarAhead }
    }

    /// RFC 3339 text in UTC, with as many fraction digits (0, 3 or 6) as the value needs.
    package static func format(_ microseconds: Int64) -> String {
        let seconds = floorDivide(microseconds, 1_000_000)
        let fraction = microseconds - seconds * 1_000_000
        let day = floorDivide(seconds, 86_400)
        let second = seconds - day * 86_400
        let (y, m, d) = civil(day: day)
        var text = "\(pad(y, 4))-\(pad(m, 2))-\(pad(d, 2))T"
        text += "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
        if fraction % 1000 != 0 {
            text += ".\(pad(fraction, 6))"
        } else if fraction != 0 {
            text += ".\(pad(fraction / 1000, 3))"
        }
        return text + "Z"
    }

    /// Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The proleptic Gregorian date of a day since 1970-01-01; the inverse of `days`.
    package static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = day + 719_468
        let era = floorDivide(z, 146_097)
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let mp = (5 * dayOfYear + 2) / 153
        let month = mp < 10 ? mp + 3 : mp - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * mp + 2) / 5 + 1)
    }

    package static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let q = a / b
        return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return text.count >= width ? text : String(repeating: "0", count: width - text.count) + text
    }
}

extension Timestamp {
    /// A cursor over the bytes of one timestamp.
    private struct Scanner {
        let bytes: [UInt8]
        var at = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var atEnd: Bool { at == bytes.count }

        private func fault(_ reason: String) -> Fault { Fault(reason: reason) }

        mutating func date() throws(Fault) -> Int64 {
            let year = try digits(4)
            try expect("-")
            let month = try digits(2)
            try expect("-")
            let day = try digits(2)
            guard (1...12).contains(month) else { throw fault("month \(month) does not exist") }
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
            let lengths: [Int64] = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            guard day >= 1, day <= lengths[Int(month) - 1] else { throw fault("day \(day) does not exist in that month") }
            return Timestamp.days(year: year, month: month, day: day) * 86_400_000_000
        }

        mutating func timeOfDay(on day: Int64) throws(Fault) -> (time: Int64, hasZone: Bool) {
            guard let separator = next(), separator == UInt8(ascii: "T") || separator == UInt8(ascii: "t") || separator == 32
            else { throw fault("expected T or a space after the date") }
            let hour = try digits(2)
            try expect(":")
            let minute = try digits(2)
            var second: Int64 = 0
            var fraction: Int64 = 0
            if peek() == UInt8(ascii: ":") {
                at += 1
                second = try digits(2)
                fraction = try fractionMicroseconds()
            }
            guard hour < 24, minute < 60, second < 60 else { throw fault("no such time of day") }
            let hasZone = !atEnd
            let offset = hasZone ? try zoneMinutes() : 0
            guard atEnd else { throw fault("text after the time") }
            return (day + ((hour * 60 + minute - offset) * 60 + second) * 1_000_000 + fraction, hasZone)
        }

        private mutating func fractionMicroseconds() throws(Fault) -> Int64 {
            guard peek() == UInt8(ascii: ".") || peek() == UInt8(ascii: ",") else { return 0 }
            at += 1
            var value: Int64 = 0
            var count = 0
            while let b = peek(), b >= 48, b <= 57 {
                if count < 6 { value = value * 10 + Int64(b - 48) }
                count += 1
                at += 1
            }
            guard count <= 9 else { throw fault("more than 9 fraction digits") }
            for _ in 0..<max(0, 6 - count) { value *= 10 }
            return value
        }

        private mutating func zoneMinutes() throws(Fault) -> Int64 {
            while peek() == 32 { at += 1 }
            if bytes.count - at == 3, ["UTC", "GMT"].contains(String(decoding: bytes[at...], as: UTF8.self).uppercased()) {
                at = bytes.count
                return 0
            }
            guard let sign = peek() else { throw fault("ends in a blank") }
            at += 1
            switch sign {
            case UInt8(ascii: "Z"), UInt8(ascii: "z"): return 0
            case UInt8(ascii: "+"), UInt8(ascii: "-"):
                let hours = try digits(2)
                let colon = peek() == UInt8(ascii: ":")
                if colon { at += 1 }
                let minutes = atEnd && !colon ? 0 : try digits(2)
                guard hours < 24, minutes < 60 else { throw fault("no such offset") }
                return (sign == UInt8(ascii: "-") ? -1 : 1) * (hours * 60 + minutes)
            default: throw fault("expected Z, UTC, GMT or an offset after the time")
            }
        }

        private func peek() -> UInt8? { at < bytes.count ? bytes[at] : nil }

        private mutating func next() -> UInt8? {
            defer { at += 1 }
            return peek()
        }

        private mutating func expect(_ character: Unicode.Scalar) throws(Fault) {
            guard let b = peek(), b == UInt8(ascii: character) else { throw fault("expected '\(character)' at byte \(at)") }
            at += 1
        }

        private mutating func digits(_ count: Int) throws(Fault) -> Int64 {
            var value: Int64 = 0
            for _ in 0..<count {
                guard let b = peek(), b >= 48, b <= 57 else { throw fault("expected a digit at byte \(at)") }
                value = value * 10 + Int64(b - 48)
                at += 1
            }
            return value
        }
    }
}
