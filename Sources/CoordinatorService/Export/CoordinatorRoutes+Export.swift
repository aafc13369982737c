import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import ServiceRuntime

/// Stored events as lines.
extension CoordinatorRoutes {
    static let exports = [Row(.get, "/v1/export/events", role: .read) { try await $0.exportEvents($1) }]

    /// One page with `limit`, else all events. The next page is asked for when the caller has read the one before. After the head an
    /// error can only break the answer off, so that nobody takes a part for the whole.
    private func exportEvents(_ call: EndpointCall) async throws -> Response {
        let project = try call.project
        let parameters = call.request.uri.queryParameters.map { JSONValue.Member(ByteString(String($0.key)), .text(String($0.value))) }
        let request = try ExportRequest.parse(parameters)
        let start = try engine.exportCursor(request, project: project, now: WallClock.now())
        let first = try await page(request, start, call)
        let text = ExportText(format: request.format, isRaw: request.isRaw)
        var headers: HTTPFields = [
            .contentType: text.contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
            .contentDisposition: "attachment; filename=\"events.\(request.format.rawValue)\"", .asOf: Timestamp.format(start.asOf),
        ]
        if request.limit != nil {
            headers[.exportEvents] = String(first.batch.count)
            if let next = first.next { headers[.exportCursor] = next.text }
        }
        let body = ResponseBody { writer in
            // A page that another one came before has no header, so that pages can be joined.
            var bytes = request.cursor == nil ? text.head : []
            var page = first
            while true {
                for row in 0..<page.batch.count {
                    text.write(page.batch, row, to: &bytes)
                    guard bytes.count >= Self.partBytes else { continue }
                    try await writer.write(ByteBuffer(bytes: bytes))
                    bytes.removeAll(keepingCapacity: true)
                }
                guard request.limit == nil, let next = page.next else { break }
                page = try await self.page(request, next, call)
            }
            if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// Bytes of text at which they are sent.
    private static let partBytes = 1 << 18

    private func page(
        _ request: ExportRequest, _ cursor: ExportCursor, _ call: EndpointCall
    ) async throws -> (batch: EventBatch, next: ExportCursor?) {
        let project = try call.project
        let limit = request.limit ?? ExportPage.eventsMax
        return try await engine.tally.count(project, isPartial: { _ in false }) {
            // A caller who leaves cancels the page.
            try await call.context.whileCallerWaits { [engine] in
                try await engine.exportPage(request.question, at: cursor, limit: limit, project: project)
            }
        }
    }
}

extension HTTPField.Name {
    /// Where the next page of an export begins.
    static let exportCursor = HTTPField.Name("Sluice-Cursor")!
    /// Lines of a page, without the header.
    static let exportEvents = HTTPField.Name("Sluice-Events")!
}
