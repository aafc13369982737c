import Foundation
import FoundationNetworking
import FunnelModel

enum HTTP {
    struct Answer {
        var status: Int
        var body: [UInt8]
        var headers: [String: String]

        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSONValue { (try? JSONParser.parse(body)) ?? .null }
    }

    private static let session: URLSession = {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 16
        configuration.timeoutIntervalForRequest = 60
        return URLSession(configuration: configuration)
    }()

    static func call(
        _ method: String, _ address: String, _ path: String, body: [UInt8]? = nil, headers: [String: String] = [:],
        key: String? = nil
    ) async throws -> Answer {
        guard let url = URL(string: "http://\(address)\(path)") else { throw Trouble("no URL: \(address)\(path)") }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.httpBody = body.map { Data($0) }
        if body != nil { request.setValue("application/json", forHTTPHeaderField: "Content-Type") }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        if let key { request.setValue("Bearer \(key)", forHTTPHeaderField: "Authorization") }
        let (data, response) = try await session.data(for: request)
        let http = response as? HTTPURLResponse
        var fields: [String: String] = [:]
        for (name, value) in http?.allHeaderFields ?? [:] { fields["\(name)".lowercased()] = "\(value)" }
        return Answer(status: http?.statusCode ?? 0, body: Array(data), headers: fields)
    }
}
