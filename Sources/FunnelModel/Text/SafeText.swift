/// Text of clients in a form that is safe to show: no character of it moves a cursor, ends a line, or changes the direction of
/// the text around it.
extension String {
    /// The text with marks in place of such characters: pictures of control characters (␛, ␊), numbers of others (<U+202E>).
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

    /// The same JSON text with escapes in place of such characters. Between tokens, JSON has none of them but white space.
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

    /// The text with `replacement` for each scalar of one kind. A search by characters would not find a quote that a combining mark
    /// follows, so nothing is escaped by it.
    package func escaping(_ escaped: Unicode.Scalar, as replacement: String) -> String {
        guard unicodeScalars.contains(escaped) else { return self }
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar == escaped { text.append(contentsOf: replacement.unicodeScalars) } else { text.append(scalar) }
        }
        return String(text)
    }

    /// Width in columns of a terminal: wide characters take two, combining ones none.
    package var columns: Int { reduce(0) { $0 + $1.columns } }

    /// The text cut, or filled with blanks, to `width` columns; `…` marks a cut.
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
    /// Whether it is a control character, ends a line or paragraph, or changes the direction of text.
    fileprivate var isUnseen: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x61C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// Four hexadecimal digits; no character that is unseen needs more.
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
