import Codec
import EventSDKs
import EventStorage
import FunnelModel
import FunnelProtocol
import Glibc

/// One surface that takes bytes from outside, chosen by FUZZ_SURFACE, under libFuzzer. Every input must give a value or an
/// error; what was read must come back the same after it is written again.
@main
struct Fuzz {
    static func main() {
        guard let name = getenv("FUZZ_SURFACE").map({ String(cString: $0) }), let chosen = surfaces[name] else {
            say("FUZZ_SURFACE must be one of \(surfaces.keys.sorted().joined(separator: ", "))")
            exit(64)
        }
        surface = chosen
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(runDriver(&count, &arguments, testOneInput))
    }

    /// Set once, before the driver starts.
    nonisolated(unsafe) fileprivate static var surface: ([UInt8]) -> Void = { _ in }

    private static let surfaces: [String: @Sendable ([UInt8]) -> Void] = [
        "lines": { bytes in _ = try? EventScanner.lines(bytes, now: 1_760_000_000_000_000) },
        "list": { bytes in _ = try? EventScanner.list(bytes, now: 1_760_000_000_000_000) },
        "batch": { bytes in
            guard let batch = try? EventBatchCodec.decode(bytes, bounds: .wire) else { return }
            let again = EventBatchCodec.encode(batch, compressed: false)
            check((try? EventBatchCodec.decode(again)) == batch, "a batch changes when it is written again")
        },
        "frame": { bytes in
            // Cut anywhere, the frames are the same.
            var (whole, cut) = (FrameDecoder(), FrameDecoder())
            whole.feed(bytes)
            cut.feed(bytes.prefix(bytes.count / 3))
            while let frame = try? cut.next() { check((try? whole.next()) == frame, "frames depend on how bytes arrive") }
        },
        "column": { bytes in
            guard let rows = bytes.first else { return }
            _ = try? ColumnPage.decode(Array(bytes.dropFirst()), pageRows: Int(rows) * 16 + 1)
        },
        "definition": { bytes in
            guard let json = try? JSONParser.parse(bytes), let definition = try? FunnelDefinition.parse(json) else { return }
            check((try? FunnelDefinition.parse(definition.json)) == definition, "a definition changes when it is written again")
        },
        "query": { bytes in
            guard let query = try? PartialQuery(body: bytes) else { return }
            check((try? PartialQuery(body: query.body)) == query, "a query changes when it is written again")
        },
        "result": { bytes in
            guard let result = try? PartialResult(body: bytes) else { return }
            check((try? PartialResult(body: result.body)) == result, "a result changes when it is written again")
        },
        "native-json": NativeSurface.read,
        "segment": { SDKSurface.read(.segment, $0) },
        "posthog": { SDKSurface.read(.posthog, $0) },
        "mixpanel": { SDKSurface.read(.mixpanel, $0) },
        "amplitude": { SDKSurface.read(.amplitude, $0) },
        "snowplow": { SDKSurface.read(.snowplow, $0) },
        "cloudevents": { SDKSurface.read(.cloudEvents, $0) },
        "rules": RuleSurface.read,
    ]

    static func check(_ holds: Bool, _ reason: String) {
        if holds { return }
        say(reason)
        abort()
    }

    private static func say(_ text: String) { _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) } }
}

/// Under this name, since libFuzzer brings a `main` of its own that asks for it.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    Fuzz.surface(Array(UnsafeBufferPointer(start: bytes, count: size)))
    return 0
}

/// libFuzzer's own loop, with its arguments.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
