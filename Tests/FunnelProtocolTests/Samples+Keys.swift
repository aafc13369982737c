import FunnelModel
import FunnelProtocol

/// The list of created API keys, and how it is asked for.
extension Samples {
    static let keyLists: [Sample] = [
        Sample(name: "asked", kind: .keyListRequest, context: asked, message: .keyListRequest(.init(known: 0, waitMilliseconds: 0))),
        Sample(
            name: "asked, with uses", kind: .keyListRequest, context: asked,
            message: .keyListRequest(
                KeyListRequest(
                    known: 0x01_0203_0405, waitMilliseconds: 5_000,
                    uses: [.init(id: "7f3k9q2mzt", minute: 29_000_000), .init(id: "a", minute: 0)]))),
        Sample(name: "unchanged", kind: .keyList, message: .keyList(KeyListMessage(version: 0x01_0203_0405, keys: nil))),
        Sample(name: "no keys", kind: .keyList, message: .keyList(KeyListMessage(version: 1, keys: []))),
        Sample(
            name: "three keys", kind: .keyList,
            message: .keyList(
                KeyListMessage(
                    version: 2,
                    keys: [
                        CreatedKey(
                            id: "7f3k9q2mzt", role: .write, project: 1, hash: [UInt8](repeating: 1, count: 32), expires: 1_800_000_000,
                            origins: ["https://shop.example", "http://localhost:3000"]),
                        CreatedKey(id: "0", role: .read, project: .max, hash: [UInt8](repeating: 2, count: 32), expires: 1),
                        CreatedKey(id: "zzzzzzzzzzzzzzzz", role: .admin, project: 2, hash: [UInt8](repeating: 3, count: 32)),
                    ]))),
    ]

    private static let head: [UInt8] = [5, 0, 0, 0, 0, 0, 0, 0, 1]

    /// A list of one key, from the fields after its id.
    private static func list(id: String = "a", _ role: UInt8 = 1, project: UInt8 = 1, _ rest: [UInt8] = [0, 0]) -> [UInt8] {
        head + [1, UInt8(id.utf8.count)] + ascii(id) + [role, project, 0, 0, 0] + [UInt8](repeating: 7, count: 32) + rest
    }

    static let keyListRejects: [(name: String, kind: FrameKind, body: [UInt8])] = {
        let asked = [UInt8](repeating: 0, count: 12)
        return [
            ("key list request: cut short", .keyListRequest, Array(asked.dropLast())),
            ("key list request: too many uses", .keyListRequest, asked + [0xD1, 0x0F]),
            ("key list request: an id with other characters", .keyListRequest, asked + [1, 2] + ascii("aB") + [1]),
            ("key list request: a minute over the limit", .keyListRequest, asked + [1, 1, 97, 0x80, 0x80, 0x80, 0x80, 0x10]),
            ("key list request: bytes after it", .keyListRequest, asked + [0, 0]),
            ("key list: version 0", .keyList, [UInt8](repeating: 0, count: 9)),
            ("key list: changed is neither 0 nor 1", .keyList, [5, 0, 0, 0, 0, 0, 0, 0, 2]),
            ("key list: unchanged, and a list", .keyList, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("key list: too many keys", .keyList, head + [0x91, 0x4E]),
            ("key list: an empty id", .keyList, list(id: "")),
            ("key list: an id that is too long", .keyList, list(id: "aaaaaaaaaaaaaaaaa")),
            ("key list: unknown role", .keyList, list(4)),
            ("key list: project 0", .keyList, list(project: 0)),
            ("key list: an id twice", .keyList, head + [2] + list().dropFirst(10) + list().dropFirst(10)),
            ("key list: origins of a read key", .keyList, list(2, [0, 1, 1, 97])),
            ("key list: an empty origin", .keyList, list(1, [0, 1, 0])),
            ("key list: too many origins", .keyList, list(1, [0, 21])),
            ("key list: expires over the limit", .keyList, list(1, [UInt8](repeating: 0xFF, count: 9) + [1, 0])),
            ("key list: cut short", .keyList, list(1, [0])),
            ("key list: bytes after it", .keyList, list(1, [0, 0, 0])),
        ]
    }()
}

extension KeyListRequest {
    var meaning: JSONValue {
        [
            "known": number(known), "wait_ms": number(waitMilliseconds),
            "uses": .array(uses.map { ["id": .text($0.id), "minute": number($0.minute)] }),
        ]
    }

    init(meaning m: JSONValue) throws {
        self.init(
            known: try m.int("known"), waitMilliseconds: try m.int("wait_ms"),
            uses: try m.list("uses").map { KeyUse(id: try $0.text("id").string, minute: try $0.int("minute")) })
    }
}

extension KeyListMessage {
    var meaning: JSONValue {
        let list = keys?.map { key -> JSONValue in
            [
                "id": .text(key.id), "role": .text(key.role.name), "project": number(key.project), "sha256": .text(hex(key.hash)),
                "expires": key.expires.map { number($0) } ?? .null, "origins": .array(key.origins.map { .text($0) }),
            ]
        }
        return ["version": number(version), "keys": list.map { .array($0) } ?? .null]
    }

    init(meaning m: JSONValue) throws {
        let keys = try m["keys"]?.asArray?.map { key in
            guard let role = KeyRole(name: try key.text("role").string) else { throw MeaningError(field: "role") }
            return CreatedKey(
                id: try key.text("id").string, role: role, project: try key.int("project"), hash: try key.hexBytes("sha256"),
                expires: key["expires"] == .null ? nil : try key.int("expires"),
                origins: try key.list("origins").compactMap { $0.asString?.string })
        }
        self.init(version: try m.int("version"), keys: keys)
    }
}
