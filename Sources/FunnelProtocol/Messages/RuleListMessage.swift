import FunnelModel

/// Asks for the normalisation rules of all projects; the answer may wait for other ones.
package struct RuleListRequest: Equatable, Sendable {
    /// Version of the list that the sender has; 0 = none.
    package var known: UInt64
    package var waitMilliseconds: UInt32

    package init(known: UInt64, waitMilliseconds: UInt32) {
        self.known = known
        self.waitMilliseconds = waitMilliseconds
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(known)
        out.integer(waitMilliseconds)
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        known = try reader.integer("known version")
        waitMilliseconds = try reader.integer("wait")
        try reader.finish("rule list request")
    }
}

/// The normalisation rules of one project.
package struct ProjectRules: Equatable, Sendable {
    package var project: UInt32
    package var revision: UInt64
    /// The rules as JSON. An ingest of an earlier release may be unable to read them.
    package var document: ByteString

    package init(project: UInt32, revision: UInt64, document: ByteString) {
        self.project = project
        self.revision = revision
        self.document = document
    }
}

/// The rules of all projects that have some. It has a random version without an order: a service takes each list of another version.
package struct RuleListMessage: Equatable, Sendable {
    package var version: UInt64
    /// By project, ascending. Nil if the asking service has this version.
    package var projects: [ProjectRules]?

    package init(version: UInt64, projects: [ProjectRules]?) {
        self.version = version
        self.projects = projects
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        out.integer(version)
        out.integer(UInt8(projects == nil ? 0 : 1))
        guard let projects else { return out.bytes }
        out.varint(UInt64(projects.count))
        for rules in projects { rules.write(to: &out) }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        version = try reader.integer("version")
        guard version > 0 else { throw ByteError(offset: 0, reason: "version 0 of a rule list") }
        let flag: UInt8 = try reader.integer("changed")
        guard flag <= 1 else { throw ByteError(offset: reader.offset, reason: "changed must be 0 or 1, not \(flag)") }
        if flag == 1 {
            var read: [ProjectRules] = []
            for _ in 0..<(try reader.count(limit: reader.remaining, "projects")) {
                let rules = try ProjectRules(from: &reader)
                guard rules.project > read.last?.project ?? 0 else {
                    throw ByteError(offset: reader.offset, reason: "project \(rules.project) is not above the one before it")
                }
                read.append(rules)
            }
            projects = read
        }
        try reader.finish("rule list")
    }

    /// Max bytes that a project adds to the list.
    package static func bytes(of rules: ProjectRules) -> Int {
        var out = ByteWriter()
        rules.write(to: &out)
        return out.count
    }
}

extension ProjectRules {
    fileprivate func write(to out: inout ByteWriter) {
        out.integer(project)
        out.integer(revision)
        out.string(document)
    }

    fileprivate init(from reader: inout ByteReader) throws(ByteError) {
        project = try reader.integer("project")
        revision = try reader.integer("revision")
        guard revision > 0 else { throw ByteError(offset: reader.offset, reason: "revision 0 of the rules of project \(project)") }
        document = try reader.string(limit: Limits.ruleDocumentBytes, "rules")
    }
}
