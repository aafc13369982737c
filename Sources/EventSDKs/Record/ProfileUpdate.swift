import FunnelModel

/// What a record says about a user or a group: values to set, and operations that are not supported. Its rows have these values as
/// properties and nothing else: the context of such a call is not kept.
struct ProfileUpdate {
    var set: [JSONValue.Member] = []
    var setOnce: [JSONValue.Member] = []
    var ignored: [String] = []

    private enum Operation { case set, setOnce, unsupported }

    /// The operations of all products.
    private static let operations: [ByteString: Operation] = [
        "$set": .set, "$set_once": .setOnce, "$setOnce": .setOnce, "$add": .unsupported, "$append": .unsupported,
        "$prepend": .unsupported, "$preInsert": .unsupported, "$postInsert": .unsupported, "$union": .unsupported,
        "$remove": .unsupported, "$unset": .unsupported, "$delete": .unsupported, "$clearAll": .unsupported,
    ]

    init() {}

    /// Reads the operations among the members of an object.
    /// - Parameter takesValues: whether a member that is no operation is a value to set.
    init(_ members: [JSONValue.Member], takesValues: Bool = false) throws(EventFault) {
        for member in members {
            switch Self.operations[member.key] {
            case .set: set += try Self.values(member)
            case .setOnce: setOnce += try Self.values(member)
            case .unsupported:
                let reason = "\(member.key) is not supported"
                if !ignored.contains(reason) { ignored.append(reason) }
            case nil: if takesValues { set.append(member) }
            }
        }
    }

    private static func values(_ member: JSONValue.Member) throws(EventFault) -> [JSONValue.Member] {
        switch member.value {
        case .object(let values): return values
        case .null: return []
        default: throw EventFault(member.key.string, "must be an object, not \(member.value.typeName)", "dict_type")
        }
    }
}

extension SDKRecord {
    init(_ draft: EventDraft) {
        self.init()
        isServerTimed = draft.isServerTimed
        isAnonymous = draft.isAnonymous
    }

    /// Adds the rows of a profile: one event `name` with the values to set, and one `$set_once`. Beside another event of the record
    /// their ids are its id, `/` and their name.
    /// - Parameter isWhole: whether the record is nothing else, so that an update without values has a row too.
    mutating func add(_ update: ProfileUpdate, named name: ByteString, isWhole: Bool, to draft: EventDraft) {
        ignored += update.ignored
        if !update.set.isEmpty || (isWhole && update.setOnce.isEmpty && update.ignored.isEmpty) { add(name, update.set, draft) }
        if !update.setOnce.isEmpty { add("$set_once", update.setOnce, draft) }
    }

    /// Adds a row of the group `id`, with the values to set as properties.
    mutating func add(_ update: ProfileUpdate, groupType: ByteString?, groupID: ByteString, to draft: EventDraft) {
        ignored += update.ignored
        var properties = update.setOnce + update.set
        if let groupType { properties.append(.init("group_type", .string(groupType))) }
        properties.append(.init("group_id", .string(groupID)))
        add("$groupidentify", properties, draft)
    }

    /// The user id of a group that no user is named with.
    static func user(ofGroup id: ByteString, type: ByteString) -> ByteString { ByteString([36] + type.bytes + [95] + id.bytes) }

    private mutating func add(_ name: ByteString, _ properties: [JSONValue.Member], _ draft: EventDraft) {
        let id = events.isEmpty ? draft.id : EventDraft.id(draft.id, "/", name)
        events.append(draft.document(.string(name), id: id, properties))
    }
}
