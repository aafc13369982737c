import Metadata

/// The refusal that a body throws; nil if it throws none.
func refusal(_ body: () async throws -> Void) async -> AccessRefusal? {
    do {
        try await body()
        return nil
    } catch {
        return error as? AccessRefusal
    }
}
