/// Text of clients as people see it: no character of it moves a cursor, ends a line, or turns the direction of what stands around it.
extension String {
    /// With marks instead of such characters: control characters as their pictures (␛, ␊), others by number (<U+202E>).
    package var printable: String {
        guard unicodeScalars.contains(where: \.isUnseen) else { return self }
        var shown = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar.value {
            case 0..<0x20: shown.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
            case 0x7F: shown.append("\u{2421}")
            case _ where scalar.isUnseen: shown.append(contentsOf: "<U+\(scalar.digits)>".unicodeScalars)
            default: shown.append(scalar)
            }
        }
        return String(shown)
    }

    /// The same JSON text with such characters as escapes; between its tokens it has none but white space.
    package var printableJSON: String {
        guard unicodeScalars.contains(where: { $0.value >= 0x7F && $0.isUnseen }) else { return self }
        var shown = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar.value >= 0x7F, scalar.isUnseen {
                shown.append(contentsOf: "\\u\(scalar.digits)".unicodeScalars)
            } else {
                shown.append(scalar)
            }
        }
        return String(shown)
    }

    /// Columns of a terminal: wide characters take two, combining ones none.
    package var columns: Int { reduce(0) { $0 + $1.columns } }

    /// Cut or filled with blanks to so many columns.
    package func padded(to width: Int) -> String {
        let own = columns
        if own <= width { return self + String(repeating: " ", count: width - own) }
        var kept = ""
        var used = 0
        for character in self {
            let next = character.columns
            if used + next > width - 1 { break }
            kept.append(character)
            used += next
        }
        return kept + "…" + String(repeating: " ", count: max(0, width - 1 - used))
    }
}

extension Unicode.Scalar {
    /// Control characters, what ends a line or paragraph, and what turns the direction of text.
    fileprivate var isUnseen: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// All of these have four at most.
    fileprivate var digits: String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }

    fileprivate var isWide: Bool {
        switch value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            true
        default: properties.isEmojiPresentation
        }
    }
}

extension Character {
    fileprivate var columns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: return first.isWide || unicodeScalars.contains("\u{FE0F}") ? 2 : 1
        }
    }
}
