import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Metadata
import NIOCore
import RPC
import ReportTables
import ServiceHost
import ServiceRuntime

/// Reports: asked for by a JSON request, or by the URL of a saved funnel.
extension CoordinatorRoutes {
    static let reports =
        ReportEndpoint.all.map { report in
            Row(.post, report.path, role: .read, bodyBytesMax: { _ in Limits.definitionBytes }) { try await $0.report(report, $1) }
        }
        + ReportEndpoint.all.map { report in
            Row(.get, "/v1/funnels/{id}/\(report.name)", role: .read) { try await $0.savedReport(report, $1) }
        }

    private func report(_ report: ReportEndpoint, _ call: EndpointCall) async throws -> Response {
        // Other parameters are ignored, as in releases that had none.
        var reader = FieldReader(.object(call.parameters.filter { ReportForm.parameters.contains($0.key) }))
        let form = ReportForm.read(&reader, tables: report.tables)
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        if report.isList, form.format != .json {
            let document = try await call.document()
            // A page if `limit` asks for one.
            return try await list(document, form, file: report.name, limit: document["limit"]?.asInteger.map { Int($0) }, call)
        }
        return try await answer(report, form, file: report.name, call) { try await call.document() }
    }

    private func savedReport(_ report: ReportEndpoint, _ call: EndpointCall) async throws -> Response {
        let id = try Self.id(call)
        var reader = FieldReader(.object(call.parameters))
        let form = ReportForm.read(&reader, tables: report.tables)
        let document = URLParameter.document(report.parameters, funnel: id, &reader)
        let limit = report.isList ? reader.limit() : nil
        reader.rejectUnknown("parameter")
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        let file = "\(id.string)-\(report.name)"
        do {
            if report.isList { return try await list(document, form, file: file, limit: limit, call) }
            return try await answer(report, form, file: file, call) { document }
        } catch let error as InvalidDocument {
            throw URLParameter.renamed(error, report.parameters)
        }
    }

    /// A report as one document, or one of its tables.
    private func answer(
        _ report: ReportEndpoint, _ form: ReportForm, file: String, _ call: EndpointCall,
        _ document: @Sendable () async throws -> JSONValue
    ) async throws -> Response {
        let project = try call.project
        let answer = try await engine.tally.count(project) {
            let document = try await document()
            // A caller who leaves cancels the query.
            return try await call.context.whileCallerWaits { [engine] in
                try await report.run(engine, document, WallClock.now(), project)
            }
        }
        if form.format == .json { return JSONResponse.json(answer) }
        let table = try report.table(of: answer, form.table)
        return JSONResponse.body(
            form.bytes(of: table), type: form.contentType,
            headers: form.headers(asOf: answer["as_of"], completeness: answer["completeness"], file: file))
    }

    /// A list of users, sent page by page: the next page is asked for when the caller has read the one before. All are of one `as_of` and of
    /// the definition that the first one had. After the head an error can only break the answer off, so that nobody takes a part for the
    /// whole.
    /// - Parameter limit: max users; nil is the whole list.
    private func list(
        _ document: JSONValue, _ form: ReportForm, file: String, limit: Int?, _ call: EndpointCall
    ) async throws -> Response {
        let project = try call.project
        let pages = try await engine.tally.count(project, isPartial: { !$0.first.completeness.missing.isEmpty }) {
            var request = try UsersRequest.parse(document, now: WallClock.now())
            request.limit = min(limit ?? .max, Limits.userListPage)
            return try await call.context.whileCallerWaits { [engine, request] in
                try await UserListPages(engine, request, project: project, limit: limit ?? .max)
            }
        }
        let first = pages.first
        var headers = form.headers(
            asOf: .text(Timestamp.format(first.asOf)), completeness: first.completeness.listJSON, file: file)
        if form.format == .json { headers[.contentDisposition] = nil }
        headers[.contentType] = form.contentType
        headers[.cacheControl] = "no-store"
        headers[.xContentTypeOptions] = "nosniff"
        let body = ResponseBody { writer in
            var text = UserListText(form)
            var pages = pages
            var page = first
            var bytes = text.head
            while true {
                for start in stride(from: 0, to: page.users.count, by: UserListText.usersPerPart) {
                    bytes += text.part(page.users[start..<min(page.users.count, start + UserListText.usersPerPart)])
                    try await writer.write(ByteBuffer(bytes: bytes))
                    bytes = []
                }
                guard let next = pages.next(after: page) else { break }
                page = try await engine.tally.count(project, isPartial: { !$0.completeness.missing.isEmpty }) {
                    try await call.context.whileCallerWaits { try await next.page() }
                }
            }
            bytes += text.end(next: page.next, asOf: first.asOf, first.completeness)
            if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}

extension EndpointCall {
    /// The parameters of the URL, decoded.
    fileprivate var parameters: [JSONValue.Member] {
        request.uri.queryParameters.map { .init(ByteString(String($0.key)), .text(String($0.value))) }
    }
}

extension FieldReader {
    /// `limit` of a whole list.
    fileprivate mutating func limit() -> Int? {
        guard let text = string("limit")?.string else { return nil }
        if let limit = Int(text), limit >= 1 { return limit }
        faultAt("limit", "must be an integer of at least 1; \"\(text.prefix(40))\" is not")
        return nil
    }
}
