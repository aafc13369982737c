import Codec
import Crypto
import Dashboard
import Foundation
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import ServiceHost
import ServiceRuntime

/// The dashboard's files, served from memory. All but the first page are in a folder named by a hash of all files, so that browsers
/// may cache them for good.
struct DashboardSite: Sendable {
    /// Where Debian's libjs-chart.js puts the library.
    static let chartLibraries = ["/usr/share/javascript/chart.js/chart.min.js", "/usr/share/javascript/chart.js/chart.umd.js"]

    private struct File: Sendable {
        var type: String
        var plain: [UInt8]
        var packed: [UInt8]
    }

    private let page: File
    private let pageTag: String
    private let files: [String: File]
    /// The page has no charts, only tables.
    let lacksCharts: Bool

    /// `chartLibrary` is the path of Chart.js; if empty, `chartLibraries` are tried. Throws if a given path can't be read.
    init(chartLibrary: String) throws(InvalidDocument) {
        var contents = DashboardFiles.all
        let candidates = chartLibrary.isEmpty ? Self.chartLibraries : [chartLibrary]
        let chart = candidates.lazy.compactMap { FileManager.default.contents(atPath: $0).map(Array.init) }.first
        if chart == nil, !chartLibrary.isEmpty { throw InvalidDocument([FieldFault("--chart-library", "cannot read \(chartLibrary)")]) }
        lacksCharts = chart == nil
        contents["chart.js"] = chart
        var hash = SHA256()
        for (path, bytes) in contents.sorted(by: { $0.key < $1.key }) {
            hash.update(data: Array(path.utf8) + [0])
            hash.update(data: bytes)
        }
        let name = Hex.text(hash.finalize().prefix(8))
        var lines = String(decoding: contents.removeValue(forKey: "index.html") ?? [], as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        if chart == nil { lines.removeAll { $0.contains("/assets/@/chart.js") } }
        page = Self.file("index.html", Array(lines.joined(separator: "\n").replacing("/assets/@/", with: "/assets/\(name)/").utf8))
        pageTag = "\"\(name)\""
        files = Dictionary(uniqueKeysWithValues: contents.map { ("\(name)/\($0.key)", Self.file($0.key, $0.value)) })
    }

    static let endpoints = [
        CoordinatorRoutes.Row(.get, "/", role: nil) { $0.site.index(for: $1.request) },
        CoordinatorRoutes.Row(.get, "/assets/**", role: nil) { routes, call in
            let path = call.context.parameters.getCatchAll().joined(separator: "/")
            guard let file = routes.site.files[path] else { throw HTTPError(.notFound) }
            return response(file, call.request, [.cacheControl: "public, max-age=31536000, immutable"])
        },
    ]

    private func index(for request: Request) -> Response {
        if request.headers[.ifNoneMatch] == pageTag { return Response(status: .notModified, headers: [.eTag: pageTag]) }
        return Self.response(
            page, request,
            [
                .cacheControl: "no-cache", .eTag: pageTag, .contentSecurityPolicy: Self.policy,
                HTTPField.Name("Referrer-Policy")!: "no-referrer",
            ])
    }

    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'none'; "
        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    private static func file(_ path: String, _ bytes: [UInt8]) -> File {
        let types = [
            "html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
            "svg": "image/svg+xml",
        ]
        let type = path.split(separator: ".").last.flatMap { types[String($0)] } ?? "application/octet-stream"
        return File(type: type, plain: bytes, packed: Gzip.encode(bytes) ?? [])
    }

    private static func response(_ file: File, _ request: Request, _ headers: HTTPFields) -> Response {
        var fields = headers
        fields[.vary] = "Accept-Encoding"
        let takesGzip = request.headers[.acceptEncoding]?.lowercased().contains("gzip") ?? false
        guard takesGzip, !file.packed.isEmpty else { return JSONResponse.body(file.plain, type: file.type, headers: fields) }
        fields[.contentEncoding] = "gzip"
        return JSONResponse.body(file.packed, type: file.type, headers: fields)
    }
}
