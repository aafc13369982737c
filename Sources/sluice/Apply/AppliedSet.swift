import FunnelModel

/// What earlier runs of `sluice apply` created under a name. The coordinator keeps it, so that it is the same on every machine.
struct AppliedSet {
    let name: String
    private(set) var documents: Set<DocumentName>
    private var tag: String?
    private let client: HTTPClient

    private var path: String { "/v1/applied/\(name)" }

    init(_ name: String, _ client: HTTPClient) async throws {
        self.name = name
        self.client = client
        let found = try await client.find("/v1/applied/\(name)")
        tag = found?.tag
        let list = try found.map { try JSONParser.parse($0.body)["documents"]?.asArray ?? [] } ?? []
        documents = Set(
            list.compactMap { item in
                guard let kind = item["kind"]?.asString, let id = item["id"]?.asString else { return nil }
                return DocumentName(kind: kind.string, id: id.string)
            })
    }

    /// Stores what the set has from now on, if it differs. A run of the same set that came in between makes it fail.
    mutating func store(_ documents: Set<DocumentName>) async throws {
        guard documents != self.documents else { return }
        let condition = tag.map { ["If-Match": $0] } ?? ["If-None-Match": "*"]
        do {
            if documents.isEmpty {
                _ = try await client.call("DELETE", path, headers: condition)
                tag = nil
            } else {
                let list = documents.sorted().map { JSONValue.object([.init("kind", .text($0.kind)), .init("id", .text($0.id))]) }
                tag = try await client.put(path, JSONValue.object([.init("documents", .array(list))]).encode(), headers: condition)
            }
        } catch let failure as Failure {
            let isChanged = failure.status == 412 || failure.status == 404
            throw Failure(
                "the set \(name): \(failure)" + (isChanged ? "; another 'sluice apply' changed it meanwhile: run this one again" : ""))
        }
        self.documents = documents
    }
}
