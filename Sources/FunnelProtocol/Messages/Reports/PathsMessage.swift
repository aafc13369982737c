import FunnelModel

extension PathQuestion {
    func write(to out: inout ByteWriter) {
        switch origin {
        case .dropped(let step):
            out.integer(UInt8(0))
            out.varint(UInt64(step))
        case .between(let first, let second):
            out.integer(UInt8(1))
            out.varint(UInt64(first))
            out.varint(UInt64(second))
        }
        out.varint(UInt64(length))
        switch events {
        case .all: out.integer(UInt8(0))
        case .only(let names): Self.write(1, names, to: &out)
        case .except(let names): Self.write(2, names, to: &out)
        }
    }

    private static func write(_ form: UInt8, _ names: [ByteString], to out: inout ByteWriter) {
        out.integer(form)
        out.varint(UInt64(names.count))
        for name in names { out.string(name) }
    }

    static func read(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> PathQuestion {
        let origin = try readOrigin(&reader, steps: steps)
        let length = try reader.count(limit: Limits.pathLength, "length")
        guard length > 0 else { throw ByteError(offset: reader.offset, reason: "paths of length 0") }
        let form: UInt8 = try reader.integer("events")
        switch form {
        case 0: return PathQuestion(origin, length: length)
        case 1: return PathQuestion(origin, length: length, events: .only(try readNames(&reader)))
        case 2: return PathQuestion(origin, length: length, events: .except(try readNames(&reader)))
        default: throw ByteError(offset: reader.offset, reason: "events \(form)")
        }
    }

    private static func readOrigin(_ reader: inout ByteReader, steps: Int) throws(ByteError) -> Origin {
        let kind: UInt8 = try reader.integer("origin")
        let first = try reader.count(limit: steps, "step")
        switch kind {
        case 0 where first > 1: return .dropped(first)
        case 1 where first > 0:
            let second = try reader.count(limit: steps, "step")
            guard second > first else { break }
            return .between(first, second)
        default: break
        }
        throw ByteError(offset: reader.offset, reason: "paths from \(kind), step \(first)")
    }

    private static func readNames(_ reader: inout ByteReader) throws(ByteError) -> [ByteString] {
        var names: [ByteString] = []
        for _ in 0..<(try reader.count(limit: Limits.pathEvents, "events")) {
            names.append(try reader.string(limit: Limits.eventNameBytes, "event"))
        }
        return names
    }
}

extension PathCounts {
    func write(to out: inout ByteWriter) {
        let names = Set(users.keys.joined()).sorted()
        let codes = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, UInt64($0)) })
        out.varint(UInt64(names.count))
        for name in names { out.string(name) }
        out.varint(UInt64(users.count))
        // Sorted, so that the same users give the same bytes.
        for path in users.keys.sorted(by: Self.isAscending) {
            out.varint(UInt64(path.count))
            for name in path { out.varint(codes[name] ?? 0) }
            out.varint(users[path] ?? 0)
        }
    }

    static func read(_ reader: inout ByteReader) throws(ByteError) -> PathCounts {
        var names: [ByteString] = []
        for _ in 0..<(try reader.count(limit: Limits.paths * Limits.pathLength, "names of paths")) {
            names.append(try reader.string(limit: Limits.eventNameBytes, "event"))
        }
        var found = PathCounts()
        var total: UInt64 = 0
        for _ in 0..<(try reader.count(limit: Limits.paths, "paths")) {
            var path: [ByteString] = []
            for _ in 0..<(try reader.count(limit: Limits.pathLength, "length of a path")) {
                let code = try reader.varint("event")
                guard code < UInt64(names.count) else { throw ByteError(offset: reader.offset, reason: "event \(code) of \(names.count)") }
                path.append(names[Int(code)])
            }
            let users = try reader.varint("users")
            guard users > 0, users < 1 << 48, total + users < 1 << 48 else {
                throw ByteError(offset: reader.offset, reason: "\(users) users of a path")
            }
            total += users
            guard found.users.updateValue(users, forKey: path) == nil else {
                throw ByteError(offset: reader.offset, reason: "a path is given twice")
            }
        }
        return found
    }
}
