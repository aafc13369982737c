import Codec

/// Recognizes formats by the first bytes: compressed text, which is read, and others, for which the error names a converter.
enum FileFormat {
    /// The decoder of a file that starts with these bytes.
    /// - Returns: nil for plain text.
    /// - Throws: `FileFault` with the format and a command that converts the file.
    static func decoder(for start: [UInt8], name: String) throws -> FileDecoder? {
        if start.starts(with: [0x1F, 0x8B]) { return try FileDecoder(.gzip, name: name) }
        if start.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
            guard Compression.zstd.isInThisBuild else {
                throw FileFault("\(name) is compressed with zstd, which this build leaves out: zstd -dc FILE | sluice load -")
            }
            return try FileDecoder(.zstd, name: name)
        }
        for (magic, format, advice) in refused where start.starts(with: magic) {
            throw FileFault("\(name) is \(format): \(advice.replacing("FILE", with: name == "the input" ? "FILE" : shellWord(name)))")
        }
        // A table's header can begin with these letters.
        if start.starts(with: "ORC".utf8), start.count > 3, start[3] < 9 || start[3] > 126 {
            throw FileFault("\(name) is ORC: convert it to CSV or NDJSON")
        }
        // In UTF-16, text in Latin letters has a zero in every second byte.
        if start.count >= 4, start[1] == 0, start[3] == 0, start[0] != 0 { throw utf16(name) }
        if start.count >= 4, start[0] == 0, start[2] == 0, start[1] != 0 { throw utf16(name) }
        return nil
    }

    private static func utf16(_ name: String) -> FileFault {
        FileFault("\(name) is UTF-16 text without a byte order mark: iconv -f UTF-16LE -t UTF-8 FILE | sluice load - (or UTF-16BE)")
    }

    private static let refused: [(magic: [UInt8], format: String, advice: String)] = [
        ([0xFF, 0xFE, 0, 0], "UTF-32 text", "iconv -f UTF-32 -t UTF-8 FILE | sluice load -"),
        ([0, 0, 0xFE, 0xFF], "UTF-32 text", "iconv -f UTF-32 -t UTF-8 FILE | sluice load -"),
        ([0xFF, 0xFE], "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE | sluice load -"),
        ([0xFE, 0xFF], "UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE | sluice load -"),
        (Array("PK\u{3}\u{4}".utf8), "a zip archive or an Excel workbook", "unzip -p FILE | sluice load -, or export the sheet as CSV"),
        (
            Array("PAR1".utf8), "Parquet",
            "duckdb -c \"COPY (FROM 'e.parquet') TO '/dev/stdout' (FORMAT json)\" | sluice load -, with its name for e.parquet"
        ),
        (Array("BZh".utf8), "compressed with bzip2", "bzip2 -dc FILE | sluice load -"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "compressed with xz", "xz -dc FILE | sluice load -"),
        ([0xD0, 0xCF, 0x11, 0xE0], "an old Excel workbook", "export the sheet as CSV"),
        (Array("Obj\u{1}".utf8), "Avro", "convert it to NDJSON, as avro cat does"),
        (Array("SQLite format 3".utf8), "a SQLite database", "sqlite3 -header -csv FILE \"SELECT … FROM …\" | sluice load -"),
    ]
}
