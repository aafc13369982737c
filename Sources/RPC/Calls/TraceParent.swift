/// The trace that a request belongs to: the header `traceparent` of W3C Trace Context (`https://www.w3.org/TR/trace-context/`).
/// It is logged, and sent on with the calls that the request causes.
package enum TraceParent {
    /// Of the request that the current task answers; nil if it named none.
    @TaskLocal package static var current: String?

    private static let length = 55
    private static let dash = UInt8(ascii: "-")

    /// The value as it is sent on; nil if there is none, or it is not valid.
    package static func read(_ text: String?) -> String? {
        guard let text else { return nil }
        let bytes = Array(text.utf8.prefix(length + 1))
        guard bytes.count >= length, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash, isHex(bytes[0..<2]),
            isHex(bytes[3..<35]), isHex(bytes[36..<52]), isHex(bytes[53..<55]), !isZero(bytes[3..<35]), !isZero(bytes[36..<52])
        else { return nil }
        let version = bytes[0..<2]
        guard !version.elementsEqual("ff".utf8) else { return nil }
        if isZero(version) { return bytes.count == length ? text : nil }
        // A later version may have more fields, after another dash. The first ones are those of version 00.
        guard bytes.count == length || bytes[length] == dash else { return nil }
        return "00" + String(decoding: bytes[2..<length], as: UTF8.self)
    }

    private static func isHex(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private static func isZero(_ bytes: ArraySlice<UInt8>) -> Bool { bytes.allSatisfy { $0 == UInt8(ascii: "0") } }

    /// Runs `body` for a request of a trace; without one it costs a branch.
    package static func of<T>(
        _ trace: String?, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> T
    ) async rethrows -> T {
        guard let trace else { return try await body() }
        return try await $current.withValue(trace, operation: body)
    }

    /// Runs `body`, which starts work that other requests share, outside of any trace.
    package static func none<T>(_ body: () -> T) -> T {
        guard current != nil else { return body() }
        return $current.withValue(nil, operation: body)
    }
}
