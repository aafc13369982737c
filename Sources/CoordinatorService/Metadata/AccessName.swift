import FunnelModel

/// Names that people give API keys and projects, and other texts of one line.
enum AccessName {
    /// A name, if the member is given. It has no characters that would break a line of a list.
    static func read(_ key: ByteString, limit: Int, _ reader: inout FieldReader) -> String? {
        guard let text = reader.string(key) else { return nil }
        let name = text.string
        guard isValidUTF8(text.bytes), (1...limit).contains(text.count), name.printable == name, name.contains(where: { !$0.isWhitespace })
        else {
            reader.faultAt(key, "must have 1 to \(limit) bytes, no control characters, and not only blanks")
            return nil
        }
        return name
    }
}
