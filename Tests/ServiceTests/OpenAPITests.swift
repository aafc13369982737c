import CoordinatorService
import Foundation
import FunnelModel
import TestSupport
import Testing

struct OpenAPITests {
    private static let document = (try? JSONParser.parse(OpenAPI.document)) ?? .null

    @Test func theDocumentHasTheShapeOfOne() throws {
        let document = Self.document
        #expect(
            document["openapi"] == "3.1.0" && document["info"]?["title"]?.asString != nil && document["info"]?["version"]?.asString != nil)
        let paths = try #require(document["paths"]?.asObject)
        #expect(Set(paths.map(\.key)).count == paths.count)
        for path in paths {
            #expect(path.key.bytes.first == UInt8(ascii: "/"))
            let shared = try parameters(path.value)
            for operation in path.value.asObject ?? [] where operation.key != "parameters" {
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
        try (value["parameters"]?.asArray ?? []).map { try #require(resolve($0)) }
    }

    private func resolve(_ value: JSONValue) -> JSONValue? {
        guard let reference = value["$ref"]?.asString?.string else { return value }
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(Optional(Self.document)) { $0?[ByteString(String($1))] }
    }

    @Test func everyReferenceLeadsSomewhereAndNoKeyIsGivenTwice() {
        func walk(_ value: JSONValue, _ path: String) {
            if value["$ref"] != nil { #expect(resolve(value) != nil, "\(path)") }
            for item in value.asArray ?? [] { walk(item, path) }
            let members = value.asObject ?? []
            #expect(Set(members.map(\.key)).count == members.count, "\(path)")
            for member in members { walk(member.value, path + "/" + member.key.string) }
        }
        walk(Self.document, "")
    }

    /// Routes are read from the sources, so that a new one can't be left out.
    @Test func everyRouteIsDescribed() throws {
        var found = 0
        for folder in ["Sources/CoordinatorService", "Sources/ServiceHost"] {
            let root = Repository.root.appendingPathComponent(folder)
            let names = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String } ?? []
            for name in names where name.hasSuffix(".swift") {
                let text = try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8)
                for match in text.matches(of: #/router\.(get|put|post|delete)\("([^"]+)"\)/#) {
                    found += 1
                    let path = Self.document["paths"]?[ByteString(String(match.2))]
                    #expect(path?[ByteString(String(match.1))] != nil, "\(match.1) \(match.2) of \(name)")
                }
            }
        }
        #expect(found >= 10)
        for report in ReportEndpoint.all {
            #expect(Self.document["paths"]?[ByteString(report.path)]?["post"] != nil, "\(report.path)")
        }
    }

    /// Every key that a query takes is in the document.
    @Test func theKeysOfAQueryAreThoseThatAreRead() throws {
        let described = Self.document["components"]?["schemas"]?["QueryMembers"]?["properties"]?.asObject?.map(\.key.string) ?? []
        #expect(described.contains("segments"))
        for key in described {
            let body = JSONValue.object([.init("funnel", ["steps": ["a"]]), .init(ByteString(key), true)])
            do {
                _ = try QueryRequest.parse(body, now: 1_700_000_000_000_000)
            } catch {
                #expect(!error.faults.contains { $0.reason == "is not a known key" }, "\(key)")
            }
        }
    }
}
