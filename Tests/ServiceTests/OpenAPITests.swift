import CoordinatorService
import EventSDKs
import Foundation
import FunnelModel
import FunnelProtocol
import IngestService
import ServiceHost
import TestSupport
import Testing

struct OpenAPITests {
    private static let document = (try? JSONParser.parse(APIDescription.json)) ?? .null

    @Test func theDocumentHasTheShapeOfOne() throws {
        let document = Self.document
        #expect(
            document["openapi"] == "3.1.0" && document["info"]?["title"]?.asString != nil && document["info"]?["version"]?.asString != nil)
        let paths = try #require(document["paths"]?.asObject)
        #expect(Set(paths.map(\.key)).count == paths.count)
        for path in paths {
            #expect(path.key.bytes.first == UInt8(ascii: "/"))
            let item = try #require(Self.resolve(path.value))
            let shared = try parameters(item)
            for operation in Self.operations(of: item) {
                let what: Comment = "\(operation.key.string) \(path.key.string)"
                #expect(["get", "put", "post", "delete"].contains(operation.key.string), what)
                #expect(operation.value["summary"]?.asString?.isEmpty == false, what)
                let responses = try #require(operation.value["responses"]?.asObject, what)
                #expect(responses.contains { $0.key.string.hasPrefix("2") }, what)
                for response in responses {
                    #expect(response.key.count == 3, what)
                    #expect(response.value["$ref"] != nil || response.value["description"]?.asString != nil, what)
                }
                // Every part of the path in braces is a parameter, and the other way round.
                let own = try shared + parameters(operation.value)
                let named = own.filter { $0["in"] == "path" }.compactMap { $0["name"]?.asString?.string }
                let inBraces = path.key.string.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
                #expect(named == inBraces, what)
            }
        }
    }

    private func parameters(_ value: JSONValue) throws -> [JSONValue] {
        try (value["parameters"]?.asArray ?? []).map { try #require(Self.resolve($0)) }
    }

    private static func resolve(_ value: JSONValue) -> JSONValue? {
        guard let reference = value["$ref"]?.asString?.string else { return value }
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(Optional(document)) { $0?[ByteString(String($1))] }
    }

    /// The operations of a path by method.
    private static func operations(of item: JSONValue) -> [JSONValue.Member] {
        (item.asObject ?? []).filter { $0.key != "parameters" && $0.key != "servers" }
    }

    @Test func everyReferenceLeadsSomewhereAndNoKeyIsGivenTwice() {
        func walk(_ value: JSONValue, _ path: String) {
            if value["$ref"] != nil { #expect(Self.resolve(value) != nil, "\(path)") }
            for item in value.asArray ?? [] { walk(item, path) }
            let members = value.asObject ?? []
            #expect(Set(members.map(\.key)).count == members.count, "\(path)")
            for member in members { walk(member.value, path + "/" + member.key.string) }
        }
        walk(Self.document, "")
    }

    /// The document and the tables of endpoints have the same operations, with the same roles of keys.
    @Test func theDocumentAndTheEndpointsAgree() {
        var described: Set<String> = []
        for path in Self.document["paths"]?.asObject ?? [] {
            for operation in Self.operations(of: Self.resolve(path.value) ?? .null) {
                let security = operation.value["security"] ?? Self.document["security"]
                var roles = (security?.asArray ?? []).compactMap { $0["key"]?.asArray?.first?.asString?.string }
                // The API key of an SDK may be in other places.
                if let keys = operation.value["x-keys"]?.asArray { roles = keys.isEmpty ? [] : ["write"] }
                for service in operation.value["tags"]?.asArray ?? [] where service != "shard" {
                    described.insert(Self.line(service.asString?.string, operation.key.string, path.key.string, roles.first))
                }
            }
        }
        var served: Set<String> = []
        for endpoint in CoordinatorRoutes.endpoints where endpoint.path != "/assets/**" {
            served.insert(Self.line("coordinator", "\(endpoint.method)", endpoint.path, endpoint.role.map { "\($0)" }))
        }
        for endpoint in IngestRoutes.endpoints {
            served.insert(Self.line("ingest", "\(endpoint.method)", endpoint.path, endpoint.role.map { "\($0)" }))
        }
        // Preflights are described as a whole.
        for endpoint in SDKRoutes.endpoints where "\(endpoint.method)" != "OPTIONS" {
            served.insert(Self.line("ingest", "\(endpoint.method)", endpoint.path, endpoint.role.map { "\($0)" }))
        }
        for service in ["coordinator", "ingest"] {
            for path in ServiceServer.paths { served.insert(Self.line(service, "GET", path, nil)) }
        }
        #expect(described.subtracting(served).sorted() == [] && served.subtracting(described).sorted() == [])
    }

    /// The document has the places of keys and the forms of bodies of every endpoint of SDKs. Products that share one have those of all.
    @Test func theDocumentAndTheEndpointsOfSDKsAgree() throws {
        func added<T: Equatable>(_ new: [T], to all: [T]) -> [T] { all + new.filter { !all.contains($0) } }
        var keys: [String: [SDKEndpoint.KeyPlace]] = [:]
        var types: [String: Set<String>] = [:]
        for endpoint in SDKEndpoint.all where endpoint.method != .head && endpoint.call != .cloudEvents {
            let operation = "\(endpoint.method.rawValue) \(endpoint.path)"
            keys[operation] = added(endpoint.takesEvents ? endpoint.keys : [], to: keys[operation] ?? [])
            types[operation, default: []].formUnion(endpoint.bodies.compactMap(Self.contentType))
        }
        for path in Self.document["paths"]?.asObject ?? [] {
            for operation in Self.operations(of: Self.resolve(path.value) ?? .null) {
                guard let described = operation.value["x-keys"]?.asArray else { continue }
                let name = "\(operation.key.string.uppercased()) \(path.key.string)"
                let places = described.compactMap { $0.asString.flatMap { Self.place($0.string) } }
                #expect(places.count == described.count && places == keys.removeValue(forKey: name), "\(name)")
                let content = operation.value["requestBody"]?["content"]?.asObject ?? []
                #expect(Set(content.map(\.key.string)) == types[name], "\(name)")
                let schemes = operation.value["security"]?.asArray?.compactMap { $0.asObject?.first?.key.string } ?? []
                #expect(schemes.contains("key") == places.contains(.bearer), "\(name)")
                #expect(schemes.contains("basic") == places.contains(.basic), "\(name)")
            }
        }
        #expect(keys.keys.sorted() == [])
    }

    private static func contentType(_ form: SDKEndpoint.BodyForm) -> String? {
        switch form {
        case .json: "application/json"
        case .lines: "application/x-ndjson"
        case .form: "application/x-www-form-urlencoded"
        case .query, .data: nil
        }
    }

    /// A place as the document writes it: `basic`, `body api_key`.
    private static func place(_ text: String) -> SDKEndpoint.KeyPlace? {
        let words = text.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("bearer", 1): return .bearer
        case ("basic", 1): return .basic
        case ("query", 2): return .query(words[1])
        case ("body", 2): return .body(ByteString(words[1]))
        case ("event", 2): return .event(MemberPlace(stringLiteral: words[1]))
        default: return nil
        }
    }

    private static func line(_ service: String?, _ method: String, _ path: String, _ role: String?) -> String {
        "\(service ?? "?") \(method.uppercased()) \(path) \(role ?? "without a key")"
    }

    /// The members of a query in the document are those that `QueryRequest` reads.
    @Test func membersOfAQueryAreThoseThatAreRead() throws {
        let schema = Self.document["components"]?["schemas"]?["QueryMembers"]
        let described = Set(schema?["properties"]?.asObject?.map(\.key.string) ?? [])
        for key in described {
            let body = JSONValue.object([.init("funnel", ["steps": ["a"]]), .init(ByteString(key), true)])
            do {
                _ = try QueryRequest.parse(body, now: 1_700_000_000_000_000)
            } catch {
                #expect(!error.faults.contains { $0.reason.hasPrefix("is not a known member") }, "\(key)")
            }
        }
        let source = String(decoding: try Repository.bytes("Sources/CoordinatorService/Query/QueryRequest.swift"), as: UTF8.self)
        let read = source.matches(of: #/reader\.(?:value|string|bool|choice|duration)\("([a-z_]+)"/#).map { String($0.1) }
        #expect(read.count >= 8 && described.isSuperset(of: read), "\(Set(read).subtracting(described))")
    }
}
