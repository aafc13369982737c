import FunnelModel

/// A format of times in the notation of `strptime` (POSIX.1-2017), with `%f` for fractions of a second as in Python.
package struct TimeFormat: Sendable, Equatable {
    private enum Part: Sendable, Equatable {
        case literal(UInt8)
        /// Any white space, or none.
        case space
        /// A number, and its max number of digits.
        case number(Field, Int)
        case monthName, dayName, dayHalf, fraction, offset, zoneName, epoch
    }

    fileprivate enum Field: Sendable, Equatable { case year, shortYear, month, day, dayOfYear, hour, hour12, minute, second }

    package struct Fault: Error, CustomStringConvertible, Sendable {
        package var description: String
    }

    private let parts: [Part]

    /// Whether the format has only a date, without a time of day.
    var isDay: Bool {
        !parts.contains { part in
            switch part {
            case .epoch, .number(.hour, _), .number(.hour12, _): true
            default: false
            }
        }
    }

    package init(_ text: String) throws(Fault) {
        var parts: [Part] = []
        var bytes = Array(text.utf8)
        // Conversions that stand for several are expanded; one pass for each is enough, as none contains another.
        for (short, long) in [("%T", "%H:%M:%S"), ("%D", "%m/%d/%y"), ("%F", "%Y-%m-%d"), ("%R", "%H:%M"), ("%r", "%I:%M:%S %p")] {
            bytes = Self.replace(Array(short.utf8), by: Array(long.utf8), in: bytes)
        }
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            guard byte == UInt8(ascii: "%") else {
                parts.append(byte == 32 || (9...13).contains(byte) ? .space : .literal(byte))
                continue
            }
            guard at < bytes.count else { throw Fault(description: "the format ends in a single %") }
            parts.append(try Self.conversion(bytes[at]))
            at += 1
        }
        guard !parts.isEmpty else { throw Fault(description: "the format is empty") }
        let hasDate =
            parts.contains(.epoch)
            || (parts.contains { [.number(.year, 4), .number(.shortYear, 2)].contains($0) }
                && (parts.contains(.number(.dayOfYear, 3))
                    || (parts.contains(.number(.day, 2)) && (parts.contains(.number(.month, 2)) || parts.contains(.monthName)))))
        guard hasDate else { throw Fault(description: "the format needs %s, or a year, a month and a day, such as %m/%d/%Y") }
        let has12 = parts.contains(.number(.hour12, 2))
        guard has12 == parts.contains(.dayHalf), !(has12 && parts.contains(.number(.hour, 2))) else {
            throw Fault(description: "%I (hours to 12) and %p (AM or PM) go together, without %H")
        }
        self.parts = parts
    }

    private static func replace(_ short: [UInt8], by long: [UInt8], in bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "%"), at + 1 < bytes.count {
                out += bytes[at + 1] == short[1] ? long : [bytes[at], bytes[at + 1]]
                at += 2
            } else {
                out.append(bytes[at])
                at += 1
            }
        }
        return out
    }

    private static func conversion(_ letter: UInt8) throws(Fault) -> Part {
        switch Unicode.Scalar(letter) {
        case "Y": return .number(.year, 4)
        case "y": return .number(.shortYear, 2)
        case "m": return .number(.month, 2)
        case "d", "e": return .number(.day, 2)
        case "j": return .number(.dayOfYear, 3)
        case "H", "k": return .number(.hour, 2)
        case "I", "l": return .number(.hour12, 2)
        case "M": return .number(.minute, 2)
        case "S": return .number(.second, 2)
        case "b", "B", "h": return .monthName
        case "a", "A": return .dayName
        case "p": return .dayHalf
        case "f": return .fraction
        case "z": return .offset
        case "Z": return .zoneName
        case "s": return .epoch
        case "n", "t": return .space
        case "%": return .literal(letter)
        default: throw Fault(description: "%\(Unicode.Scalar(letter)) is not supported in a time format")
        }
    }
}

// MARK: - Reading

extension TimeFormat {
    fileprivate struct Fields {
        var year: Int64 = 0
        var month: Int64 = 1
        var day: Int64 = 1
        var dayOfYear: Int64?
        var hour: Int64 = 0
        var isAfternoon: Bool?
        var minute: Int64 = 0
        var second: Int64 = 0
        var microsecond: Int64 = 0
        var offsetMinutes: Int64?
        var epoch: Int64?
    }

    /// Parses a time.
    /// - Returns: microseconds since 1970; without a zone in the text, as if it were UTC.
    func read(_ text: [UInt8]) throws(Timestamp.Fault) -> (time: Int64, hasZone: Bool) {
        var cursor = Cursor(bytes: text)
        var fields = Fields()
        for part in parts { try read(part, &cursor, &fields) }
        cursor.skipSpace()
        guard cursor.at == text.count else { throw cursor.fault("text after the time") }
        return try fields.time(cursor)
    }

    private func read(_ part: Part, _ cursor: inout Cursor, _ fields: inout Fields) throws(Timestamp.Fault) {
        switch part {
        case .space: cursor.skipSpace()
        case .literal(let byte):
            guard cursor.peek == byte else { throw cursor.fault("\"\(Unicode.Scalar(byte))\" is expected") }
            cursor.at += 1
        case .number(let field, let digits):
            cursor.skipSpace()
            fields.set(field, try cursor.number(digits))
        case .monthName: fields.month = Int64(try cursor.name(of: Self.months)) + 1
        case .dayName: _ = try cursor.name(of: Self.weekdays)
        case .dayHalf: fields.isAfternoon = try cursor.name(of: ["AM", "PM"]) == 1
        case .fraction: fields.microsecond = try cursor.fraction()
        case .epoch: fields.epoch = try cursor.number(18)
        case .offset: fields.offsetMinutes = try cursor.offset()
        case .zoneName:
            _ = try cursor.name(of: ["UTC", "GMT", "Z"])
            fields.offsetMinutes = 0
        }
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ]
    private static let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    fileprivate struct Cursor {
        let bytes: [UInt8]
        var at = 0

        var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

        func fault(_ reason: String) -> Timestamp.Fault {
            Timestamp.Fault(reason: "does not match the time format: \(reason) at byte \(at + 1)")
        }

        mutating func skipSpace() {
            while let byte = peek, byte == 32 || (9...13).contains(byte) { at += 1 }
        }

        mutating func number(_ digits: Int) throws(Timestamp.Fault) -> Int64 {
            var value: Int64 = 0
            let start = at
            while at - start < digits, let byte = peek, (48...57).contains(byte) {
                value = value * 10 + Int64(byte - 48)
                at += 1
            }
            if at == start { throw fault("a digit is expected") }
            return value
        }

        mutating func fraction() throws(Timestamp.Fault) -> Int64 {
            let start = at
            var value = try number(6)
            for _ in (at - start)..<6 { value *= 10 }
            while at - start < 9, let byte = peek, (48...57).contains(byte) { at += 1 }
            return value
        }

        /// The index of the name at the cursor: the whole name, or its first three letters.
        mutating func name(of names: [String]) throws(Timestamp.Fault) -> Int {
            for isWhole in [true, false] {
                for (i, name) in names.enumerated() {
                    let letters = Array((isWhole ? name : String(name.prefix(3))).lowercased().utf8)
                    guard bytes.count - at >= letters.count,
                        zip(bytes[at...], letters).allSatisfy({ ($0 | 32) == $1 })
                    else { continue }
                    at += letters.count
                    return i
                }
            }
            throw fault("one of \(names[0]), \(names[1]), … is expected")
        }

        mutating func offset() throws(Timestamp.Fault) -> Int64 {
            skipSpace()
            guard let sign = peek else { throw fault("an offset is expected") }
            at += 1
            if sign | 32 == UInt8(ascii: "z") { return 0 }
            guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
                at -= 1
                throw fault("Z, + or - is expected")
            }
            let start = at
            let hours = try number(2)
            guard at - start == 2 else { throw fault("an offset has two digits of hours") }
            if peek == UInt8(ascii: ":") { at += 1 }
            let minutes = peek.map { (48...57).contains($0) } ?? false ? try number(2) : 0
            guard hours < 24, minutes < 60 else { throw fault("no such offset") }
            return (sign == UInt8(ascii: "-") ? -1 : 1) * (hours * 60 + minutes)
        }
    }
}

extension TimeFormat.Fields {
    fileprivate mutating func set(_ field: TimeFormat.Field, _ value: Int64) {
        switch field {
        case .year: year = value
        // As in POSIX, 69 to 99 are in the 20th century.
        case .shortYear: year = value + (value < 69 ? 2000 : 1900)
        case .month: month = value
        case .day: day = value
        case .dayOfYear: dayOfYear = value
        case .hour: hour = value
        case .hour12: hour = value == 12 ? 0 : value < 12 && value > 0 ? value : 99
        case .minute: minute = value
        case .second: second = value
        }
    }

    fileprivate func time(_ cursor: TimeFormat.Cursor) throws(Timestamp.Fault) -> (time: Int64, hasZone: Bool) {
        if let epoch {
            guard epoch < 1 << 40 else { throw cursor.fault("%s is out of range") }
            return (epoch * 1_000_000 + microsecond, true)
        }
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        let lengths: [Int64] = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(month), day >= 1, day <= lengths[Int(month) - 1], (dayOfYear ?? 1) >= 1,
            (dayOfYear ?? 1) <= (leap ? 366 : 365)
        else {
            throw Timestamp.Fault(reason: "no such day")
        }
        let hour = hour + (isAfternoon == true ? 12 : 0)
        guard hour < 24, minute < 60, second < 60 else { throw Timestamp.Fault(reason: "no such time of day") }
        let days =
            dayOfYear.map { Timestamp.days(year: year, month: 1, day: 1) + $0 - 1 } ?? Timestamp.days(year: year, month: month, day: day)
        let shown = ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + microsecond
        return (shown - (offsetMinutes ?? 0) * 60_000_000, offsetMinutes != nil)
    }
}
