import FunnelModel
import Synchronization

/// Event names and property keys, whose number is limited for each project and shard.
extension ShardStore {
    /// The project's event names and property keys, their limits, its damaged files, and what the start cut off the log.
    package func names(project: UInt32) -> ProjectNames {
        let (schema, torn) = shared.withLock { ($0.projects[project]?.schema ?? ProjectSchema(), $0.stats.tornBytesCut) }
        var names = ProjectNames()
        names.tornBytes = UInt64(torn)
        (names.events, names.properties) = (schema.names, schema.keys)
        (names.eventsMax, names.propertiesMax) = (options.eventNamesMax, options.propertyKeysMax)
        names.damaged = damagedFiles.filter { $0.project == project }.prefix(ProjectNames.damagedMax).map {
            ByteString(String($0.reason.prefix(500)))
        }
        return names
    }

    /// Publishes the writer's schema of a project to readers, and reports when it comes near a limit.
    func noteLimits(of project: UInt32, _ writer: borrowing Writer) {
        guard let schema = writer.schemas[project] else { return }
        let before = shared.withLock { shared -> (names: Int, keys: Int) in
            let known = shared.projects[project]?.schema ?? ProjectSchema()
            if known.names.count != schema.names.count || known.keys.count != schema.keys.count {
                shared.projects[project]?.schema = schema
                shared.stats.mostEventNames = max(shared.stats.mostEventNames, schema.names.count)
                shared.stats.mostPropertyKeys = max(shared.stats.mostPropertyKeys, schema.keys.count)
            }
            return (known.names.count, known.keys.count)
        }
        for (limit, before, now, most) in [
            (StoreNote.Limit.eventNames, before.names, schema.names.count, options.eventNamesMax),
            (.propertyKeys, before.keys, schema.keys.count, options.propertyKeysMax),
        ] where ProjectNames.isNear(now, most: most) && !ProjectNames.isNear(before, most: most) {
            options.onNote(.nearLimit(project: project, limit, count: now, most: most))
        }
    }
}

// MARK: - Freeing names

extension ShardStore {
    /// Rows of some event names in one project.
    package struct EventsOfNames: Equatable, Sendable {
        package var project: UInt32
        package var names: [ByteString]
        /// Including duplicates that no merge has dropped yet.
        package var rows: Int
    }

    /// Which of some event names a project has, and how many rows of them; projects that have none are left out.
    /// - Parameter project: nil is all projects.
    package func events(ofNames names: Set<ByteString>, project: UInt32?) throws(StoreError) -> [EventsOfNames] {
        var all: [EventsOfNames] = []
        for number in shared.withLock({ $0.projects.keys.sorted() }) where project == nil || number == project {
            let view = try view(project: number)
            let found = view.eventNames().filter(names.contains)
            if !found.isEmpty { all.append(EventsOfNames(project: number, names: found, rows: view.rows(of: found))) }
        }
        return all
    }

    /// Deletes all rows of some event names, and frees the names and the keys that only these rows had. Segment files are replaced
    /// one by one, as by a merge: if the call is interrupted, the same call again finishes it. No append may run meanwhile.
    /// - Parameter project: nil is all projects.
    /// - Returns: what was deleted, by project.
    package func drop(eventNames names: Set<ByteString>, project: UInt32?) throws(StoreError) -> [EventsOfNames] {
        try seal()
        let found = try events(ofNames: names, project: project)
        try merging.withLock { (_) throws(StoreError) in
            for (number, project) in shared.withLock({ $0.projects }) where found.contains(where: { $0.project == number }) {
                for segment in project.segments where segment.footer.runs.contains(where: { names.contains($0.name) }) {
                    try merge([segment], number, project, without: names)
                }
            }
        }
        for project in found { try forgetNames(of: project.project) }
        return found
    }

    /// Rebuilds the schema of a project from its segment files.
    private func forgetNames(of number: UInt32) throws(StoreError) {
        try writer.withLock { (writer) throws(StoreError) in
            let schema = shared.withLock { shared -> ProjectSchema? in
                guard var project = shared.projects[number], project.memtable.rows == 0 else { return nil }
                var schema = ProjectSchema()
                project.nameCodes = [:]
                project.names = []
                project.newestTime = nil
                for segment in project.segments {
                    schema.learn(segment.footer)
                    project.learn(segment.footer.runs.map(\.name))
                    project.note(newest: segment.footer.newestTime)
                }
                project.schema = schema
                shared.projects[number] = project
                return schema
            }
            guard let schema else { throw StoreError(.invalid, "events of project \(number) were appended meanwhile; try again") }
            writer.schemas[number] = schema
        }
    }
}
