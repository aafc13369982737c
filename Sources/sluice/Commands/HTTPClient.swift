import Foundation
import FoundationNetworking
import FunnelModel

/// HTTP calls of the command line to the coordinator.
struct HTTPClient {
    /// host:port, or a URL without a path.
    let address: String
    let key: HTTPKeyOptions

    init(_ address: String, _ key: HTTPKeyOptions) {
        self.address = address
        self.key = key
    }

    /// Of all paths; nil if the address is none.
    var base: URL? {
        let url = URL(string: address.hasPrefix("https://") || address.hasPrefix("http://") ? address : "http://\(address)")
        return url?.host == nil ? nil : url
    }

    /// - Returns: the body, which may be empty; problems of the server become errors with their detail.
    func call(
        _ method: String, _ path: String, _ body: [UInt8]? = nil, headers: [String: String] = [:], seconds: Double = 30
    ) async throws -> [UInt8] {
        try await send(method, path, body, headers, seconds).body
    }

    /// - Returns: the body and its entity tag.
    func read(_ path: String) async throws -> (body: [UInt8], tag: String?) {
        let (body, response) = try await send("GET", path, nil, [:], 30)
        return (body, response?.value(forHTTPHeaderField: "ETag"))
    }

    /// A page of an answer that has several.
    /// - Returns: the body and a header field of the answer by its name.
    func page(_ path: String, seconds: Double) async throws -> (body: [UInt8], field: (String) -> String?) {
        let (body, response) = try await send("GET", path, nil, [:], seconds)
        return (body, { response?.value(forHTTPHeaderField: $0) })
    }

    /// - Returns: the body and its entity tag; nil if the coordinator has no such document. A coordinator without the path is an error.
    func find(_ path: String) async throws -> (body: [UInt8], tag: String?)? {
        let (body, response) = try await exchange("GET", path, nil, [:], 30)
        let status = response?.statusCode ?? 0
        if status == 404 {
            let type = (try? JSONParser.parse(body))?["type"]?.asString?.string ?? ""
            if type.hasPrefix("urn:sluice:unknown_") { return nil }
            throw Failure(
                "\(address) has no \(path): the coordinator is of a release without it, or \(CalledService.coordinator.needsHTTP)")
        }
        guard (200..<300).contains(status) else { throw Failure(problem(body, status), status: status) }
        return (body, response?.value(forHTTPHeaderField: "ETag"))
    }

    /// - Returns: the entity tag of what was saved.
    func put(_ path: String, _ body: [UInt8], headers: [String: String]) async throws -> String? {
        try await send("PUT", path, body, headers, 30).response?.value(forHTTPHeaderField: "ETag")
    }

    private func send(
        _ method: String, _ path: String, _ body: [UInt8]?, _ headers: [String: String], _ seconds: Double
    ) async throws -> (body: [UInt8], response: HTTPURLResponse?) {
        let (data, response) = try await exchange(method, path, body, headers, seconds)
        let status = response?.statusCode ?? 0
        guard (200..<300).contains(status) else { throw Failure(problem(data, status), status: status) }
        return (data, response)
    }

    /// One call; the status of the answer is not looked at, except that a missing API key is an error.
    private func exchange(
        _ method: String, _ path: String, _ body: [UInt8]?, _ headers: [String: String], _ seconds: Double
    ) async throws -> (body: [UInt8], response: HTTPURLResponse?) {
        guard let base, let url = URL(string: base.absoluteString + path), let host = url.host else {
            throw Failure("\(path.printable) cannot be a path of an address")
        }
        // URLSession rejects them.
        if host.contains(":") { throw Failure("\(address): give a host name or an IPv4 address; IPv6 addresses are for wire ports only") }
        try key.check(host: host, encrypted: url.scheme == "https", advice: "give --to https://HOST:PORT")
        var request = URLRequest(url: url, timeoutInterval: seconds)
        request.httpMethod = method
        request.httpBody = body.map { Data($0) }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let authorization = try key.authorization()
        if let authorization { request.setValue(authorization, forHTTPHeaderField: "Authorization") }
        let (data, response): (Data, URLResponse)
        do {
            (data, response) = try await URLSession.shared.data(for: request)
        } catch {
            throw Failure("\(address): \(error.localizedDescription)\(hint(url, host, error))")
        }
        let answer = response as? HTTPURLResponse
        if answer?.statusCode == 401, authorization == nil { throw Failure("\(address): \(HTTPKeyOptions.keyNeeded)") }
        return (Array(data), answer)
    }

    /// What to do about a port of another kind, or a certificate that the system does not trust; empty if it is neither.
    private func hint(_ url: URL, _ host: String, _ error: any Error) -> String {
        let isEncrypted = url.scheme == "https"
        switch PortKind.of(host: host, port: url.port ?? (isEncrypted ? 443 : 80)) {
        case .wire: return "; \(address) looks like a wire port: \(CalledService.coordinator.needsHTTP)"
        case .tls where !isEncrypted: return "; the port uses TLS: give --to https://HOST:PORT"
        case .http where isEncrypted: return "; the port does not use TLS: leave https:// out"
        case .http, .tls, .unknown:
            let isCertificate = error.localizedDescription.contains("SSL certificate problem")
            return isCertificate ? "; the system must trust the certificate (deploy/README.md, \"TLS\")" : ""
        }
    }

    private func problem(_ body: [UInt8], _ status: Int) -> String {
        let document = try? JSONParser.parse(body)
        let faults = (document?["errors"]?.asArray ?? []).map {
            "\n  " + "\($0["field"]?.asString?.string ?? ""): \($0["reason"]?.asString?.string ?? "")".printable
        }
        let detail = (document?["detail"]?.asString?.string ?? "HTTP \(status)").printable
        // Every path that commands call exists on the coordinator. Its other errors of this status are about a thing that it lacks.
        let type = document?["type"]?.asString
        let isElsewhere = status == 404 && (type == nil || type == "urn:sluice:not_found")
        return detail + (isElsewhere ? "; \(CalledService.coordinator.needsHTTP)" : "") + faults.joined()
    }
}
