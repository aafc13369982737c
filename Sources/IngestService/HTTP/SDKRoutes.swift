import EventRules
import EventSDKs
import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import RPC
import ServiceHost
import ServiceRuntime

/// The endpoints of other products' SDKs (`SDKEndpoint.all`). Each answers in the words of its SDK, errors too.
package struct SDKRoutes: Sendable {
    let intake: Intake
    let door: KeyDoor
    let bodies: BodyMemory
    let incoming: IncomingEvents

    /// One for each method and path; products that share one are distinguished by the request. CloudEvents come to a path of native
    /// events.
    package static let endpoints: [Endpoint<SDKRoutes>] = {
        var seen: Set<String> = []
        let own = SDKEndpoint.all.filter { $0.call != .cloudEvents && seen.insert("\($0.method) \($0.path)").inserted }
        // The router answers HEAD by GET.
        let calls = own.filter { $0.method != .head }.map { endpoint in
            Endpoint<SDKRoutes>(
                endpoint.method == .get ? .get : .post, endpoint.path, role: endpoint.takesEvents ? .write : nil, findsKey: true,
                bodyBytesMax: { $0.intake.bodyBytesMax }
            ) { try await $0.answer($1) }
        }
        let paths = Set(own.filter { $0.browsers != .none }.map(\.path)).sorted()
        return calls + paths.map { path in Endpoint(.options, path, role: nil) { $0.preflight($1) } }
    }()

    func add(to router: ServiceRouter) { router.add(Self.endpoints, of: self) { [door] in try door.admit($0, for: $1) } }

    // MARK: - A request

    func answer(_ call: EndpointCall) async throws -> Response {
        var head = SDKRequest(call.request)
        // HEAD is answered as GET is, unless it has an endpoint of its own.
        if head.method == .head, SDKEndpoint.at(.head, head.path).isEmpty { head.method = .get }
        guard let first = SDKEndpoint.owner(of: head) ?? SDKEndpoint.at(head.method, head.path).first else {
            throw HTTPError(.notFound)
        }
        let (answer, endpoint, tables, limit) = await answer(call, head, first)
        var response = Response(answer)
        if let limit { response.headers[.limit] = limit.rawValue }
        if let tables { response.headers.append(contentsOf: HTTPFields(revisionOf: tables)) }
        cors(endpoint.browsers, call.request).map { response.headers.append(contentsOf: $0) }
        return response
    }

    /// - Parameter first: the endpoint by the head alone.
    /// - Returns: also the endpoint by the body, the rules of the project, and the limit that refused the request.
    private func answer(
        _ call: EndpointCall, _ head: SDKRequest, _ first: SDKEndpoint
    ) async -> (SDKAnswer, SDKEndpoint, RuleTables?, RequestLimit?) {
        var (endpoint, request) = (first, head)
        var batch: SDKBatch?
        var tables: RuleTables?
        var limit = call.bodyBytesMax
        do {
            try requireLocalPage(call.request)
            let candidates = SDKEndpoint.at(head.method, head.path)
            if !candidates.contains(where: \.takesEvents), let answer = first.fixedAnswer(to: head) { return (answer, first, nil, nil) }
            let toll = try Toll(intake.limits, call)
            if let encoding = head.header("content-encoding"), !ReceivedBody.canRead(encoding) {
                throw SDKFault.unsupportedEncoding(encoding)
            }
            // A key in the head is checked before the body is read.
            let found = candidates.lazy.compactMap { $0.keyAndPlace(inHeadOf: head) }.first
            let known =
                try door.keys.isOpen
                ? door.keys.admit(nil, for: .write)
                : found.map { try admit($0.key, in: $0.place.isInURL ? .url : .header, of: call.request) }
            let project = known?.project ?? Self.noProject
            tables = known.flatMap { intake.rules.tables(of: $0.project) }
            if known == nil { limit = min(limit, Self.bodyBytesWithoutKey) }
            if let known { try toll.admit(known) }
            let bytesMax = limit
            return try await bodies.with(project, call.context) { lease in
                let body = try await ReceivedBody.read(
                    call.request, limit: bytesMax, mayBeGzip: first.mayBeGzip(head), lease: lease)
                toll.read(body.receivedBytes, known)
                var read = try await intake.parsing.run(project) { [tables] in
                    let read = try SDKRead(head, body.content(), keyInBody: known == nil, eventsMax: intake.eventsMax)
                    return tables.map(read.ruled) ?? read
                }
                (endpoint, request) = (read.endpoint, read.request)
                batch = read.batch
                if let answer = endpoint.fixedAnswer(to: request) { return (answer, endpoint, tables, nil) }
                // Records of a GET are in its URL.
                let place: KeyDoor.KeyPlace = request.method == .post ? .body : .url
                let caller = try known ?? admit(read.batch.key, in: place, of: call.request)
                if known == nil, let found = intake.rules.tables(of: caller.project) {
                    tables = found
                    read = try await intake.parsing.run(caller.project) { [read] in read.ruled(by: found) }
                }
                try toll.admit(read.rows, caller, keyBytes: known == nil ? body.receivedBytes : nil)
                let outcome = try await intake.store(read.rows, delivery: nil, sender: Sender(caller), logger: call.context.logger)
                if incoming.wants(outcome) {
                    incoming.note(outcome, of: read.rows, from: RequestOrigin(caller, endpoint.path), content: read.content)
                }
                return (endpoint.answer(read.batch, read.outcome(outcome), to: request, now: WallClock.now()), endpoint, tables, nil)
            }
        } catch {
            let refusedBy = Self.limit(of: error)
            intake.noteRefused(refusedBy, call.context.logger)
            return (endpoint.answer(SDKFault(error, bytesMax: limit), to: request, batch: batch), endpoint, tables, refusedBy)
        }
    }

    private static func limit(of error: any Error) -> RequestLimit? {
        if case .tooManyEvents? = error as? SDKFault { return .eventsPerRequest }
        return (error as? ProtocolError)?.limit
    }

    private func requireLocalPage(_ request: Request) throws(SDKFault) {
        do throws(ProtocolError) {
            try door.requireLocalPage(request)
        } catch {
            throw .forbidden(error.message)
        }
    }

    /// Bodies with the key in them share the memory of one project: until they are read, nobody knows whose they are.
    private static let noProject: UInt32 = 0
    private static let bodyBytesWithoutKey = 20 << 20

    private func admit(_ key: ByteString?, in place: KeyDoor.KeyPlace, of request: Request) throws -> KeyRing.Principal {
        guard let key else { throw SDKFault.missingKey }
        return try door.admit(key: key.string, in: place, of: request, for: .write)
    }

    // MARK: - Pages of other sites

    private func preflight(_ call: EndpointCall) -> Response {
        let all = SDKEndpoint.Method.allCases.flatMap { SDKEndpoint.at($0, call.request.uri.path) }.map(\.browsers)
        // Products that share a path: the one that asks for more.
        let browsers = all.first { $0 == .withCredentials } ?? all.first { $0 == .plain } ?? .none
        guard (try? door.requireLocalPage(call.request)) != nil, var fields = cors(browsers, call.request) else {
            return JSONResponse.problem(ProtocolError(.forbidden, "pages of other sites may not call this path"))
        }
        fields[.accessControlAllowMethods] = "GET, POST, OPTIONS"
        fields[.accessControlAllowHeaders] = call.request.headers[.accessControlRequestHeaders] ?? "authorization, content-type"
        fields[.accessControlMaxAge] = "86400"
        return Response(status: .noContent, headers: fields)
    }

    /// The header fields that let a page read the answer; nil if it may not. No answer depends on cookies, so credentials of the
    /// page open nothing.
    private func cors(_ browsers: SDKEndpoint.BrowserAccess, _ request: Request) -> HTTPFields? {
        guard let origin = request.headers[.origin] else { return nil }
        switch browsers {
        case .none: return nil
        case .plain: return [.accessControlAllowOrigin: "*", .accessControlExposeHeaders: "Retry-After"]
        case .withCredentials:
            return [
                .accessControlAllowOrigin: origin, .accessControlAllowCredentials: "true", .accessControlExposeHeaders: "Retry-After",
                .vary: "Origin",
            ]
        }
    }
}

extension SDKRequest {
    fileprivate init(_ request: Request) {
        let path = request.uri.path
        let method = Method(rawValue: request.method.rawValue) ?? .post
        self.init(
            method, path, query: request.uri.query ?? "", headers: request.headers.map { ($0.name.canonicalName, $0.value) })
    }

    private typealias Method = SDKEndpoint.Method
}

extension Response {
    fileprivate init(_ answer: SDKAnswer) {
        var fields: HTTPFields = [:]
        for header in answer.headers { if let name = HTTPField.Name(header.name) { fields[name] = header.value } }
        self = WholeAnswer(answer.body, type: answer.contentType, status: .init(code: answer.status), headers: fields).response
    }
}

extension SDKFault {
    /// Any error of reading and storing a request.
    fileprivate init(_ error: any Error, bytesMax: Int) {
        if let fault = error as? SDKFault {
            self = fault
            return
        }
        if let error = error as? HTTPError, error.status == .requestTimeout {
            self = .overloaded(retryAfter: 1)
            return
        }
        let error = ProtocolError(of: error)
        let wait = max(1, Int(error.retryAfterMilliseconds) / 1_000)
        if let limit = error.limit, limit.isRate {
            self = .rateLimited(retryAfter: wait, limit: limit.rawValue)
            return
        }
        switch error.code {
        case .notAuthenticated: self = error.retryAfterMilliseconds > 0 ? .rateLimited(retryAfter: wait) : .wrongKey
        case .forbidden: self = .refusedKey(error.message)
        case .tooLarge: self = .tooLarge(limit: bytesMax)
        default: self = error.retryable || error.httpStatus >= 500 ? .overloaded(retryAfter: wait) : .malformed(error.message)
        }
    }
}
