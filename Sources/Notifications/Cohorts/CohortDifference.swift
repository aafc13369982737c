import FunnelModel

/// The difference between two sorted lists of users, a page at a time. It depends on the two lists alone, so a page can be made again.
package struct CohortDifference: Sendable {
    /// Gives the users of a chunk by its number, from 0; nil after the last one.
    package typealias Chunks = @Sendable (_ number: Int) async throws -> [ByteString]?

    package struct Page: Equatable, Sendable {
        package var added: [ByteString]
        package var removed: [ByteString]
        /// From 1.
        package var number: Int
        package var isLast: Bool

        package init(added: [ByteString] = [], removed: [ByteString] = [], number: Int, isLast: Bool = false) {
            self.added = added
            self.removed = removed
            self.number = number
            self.isLast = isLast
        }

        var count: Int { added.count + removed.count }
    }

    /// Users of one list in order; one chunk is in memory.
    private struct Cursor: Sendable {
        let chunks: Chunks?
        var users: [ByteString] = []
        var place = 0
        var nextChunk = 0

        /// The user at this place; nil at the end.
        mutating func peek() async throws -> ByteString? {
            while place == users.count {
                guard let chunks, let more = try await chunks(nextChunk) else { return nil }
                (users, place) = (more, 0)
                nextChunk += 1
            }
            return users[place]
        }
    }

    private enum Change {
        case added(ByteString)
        case removed(ByteString)
    }

    private var old: Cursor
    private var new: Cursor
    private let pageUsers: Int
    private var number = 0
    /// The first change of the next page, if it was read.
    private var ahead: Change?

    /// - Parameter old: nil is an empty list.
    package init(from old: Chunks?, to new: @escaping Chunks, pageUsers: Int = SyncedCohort.pageUsers) {
        self.old = Cursor(chunks: old)
        self.new = Cursor(chunks: new)
        self.pageUsers = max(pageUsers, 1)
    }

    /// The next page; nil after the last one. Without a difference there is none.
    package mutating func next() async throws -> Page? {
        let first: Change?
        if let ahead {
            first = ahead
        } else {
            first = number == 0 ? try await change() : nil
        }
        guard var change = first else { return nil }
        number += 1
        var page = Page(number: number)
        while true {
            switch change {
            case .added(let user): page.added.append(user)
            case .removed(let user): page.removed.append(user)
            }
            ahead = try await self.change()
            guard let ahead, page.count < pageUsers else { break }
            change = ahead
        }
        page.isLast = ahead == nil
        return page
    }

    private mutating func change() async throws -> Change? {
        while true {
            switch (try await old.peek(), try await new.peek()) {
            case (nil, nil): return nil
            case (let left?, let right?) where left == right:
                old.place += 1
                new.place += 1
            case (let left?, let right?) where right < left:
                new.place += 1
                return .added(right)
            case (let left?, _):
                old.place += 1
                return .removed(left)
            case (nil, let right?):
                new.place += 1
                return .added(right)
            }
        }
    }
}

extension CohortDifference.Page {
    /// The body that the receiver gets.
    package func body(of cohort: SyncedCohort, run: UInt64) -> [UInt8] {
        JSONValue.object([
            .init("cohort", .text(cohort.id)), .init("title", .text(cohort.title)), .init("run", .integer(Int64(clamping: run))),
            .init("page", .count(number)), .init("last", .bool(isLast)), .init("added", .array(added.map { .string($0) })),
            .init("removed", .array(removed.map { .string($0) })),
        ]).encode()
    }

    /// The `Idempotency-Key`.
    package func key(of cohort: SyncedCohort, run: UInt64) -> String { "cohort/\(cohort.id)/\(run)/\(number)" }
}
