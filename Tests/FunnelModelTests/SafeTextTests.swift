import FunnelModel
import Testing

/// Text of clients as it is shown.
struct SafeTextTests {
    @Test(arguments: [
        ("plain text, Zoë, 日本", "plain text, Zoë, 日本"), ("\u{1B}[31mred", "␛[31mred"), ("a\nb\tc\r\0\u{7F}", "a␊b␉c␍␀␡"),
        ("\u{9B}31m", "<U+009B>31m"), ("\u{202E}abc\u{2066}", "<U+202E>abc<U+2066>"), ("\u{2028}", "<U+2028>"), ("", ""),
        ("e\u{301} 👩‍👩‍👧", "e\u{301} 👩‍👩‍👧"),
    ])
    func marksStandForWhatIsNotSeen(text: String, shown: String) {
        #expect(text.printable == shown)
    }

    @Test func jsonKeepsItsMeaning() throws {
        let value: JSONValue = ["a\u{9B}\u{202E}": "b\u{7F}\u{2028}\n"]
        let shown = String(decoding: value.encode(), as: UTF8.self).printableJSON
        #expect(!shown.unicodeScalars.contains { $0.value >= 0x7F } && shown.contains("\\u202E"))
        #expect(try JSONParser.parse(Array(shown.utf8)) == value)
    }

    @Test(arguments: [("abc", 3), ("日本", 4), ("e\u{301}", 1), ("👍", 2), ("👩‍👩‍👧", 2), ("ｱ", 1), ("Ａ", 2), ("한", 2), ("", 0)])
    func columnsAreThoseOfATerminal(text: String, columns: Int) {
        #expect(text.columns == columns)
        #expect(text.padded(to: 6).columns == 6 && text.padded(to: 6).hasPrefix(text))
    }

    @Test func whatIsTooLongIsCutWithAMark() {
        #expect("abcdef".padded(to: 4) == "abc…" && "日本語".padded(to: 4) == "日… " && "日本語".padded(to: 5) == "日本…")
        #expect("abcd".padded(to: 4) == "abcd")
    }
}
