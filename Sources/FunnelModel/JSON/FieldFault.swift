/// A fault of one field of a definition, a query or a setting. The reason is a predicate, such as "is required".
package struct FieldFault: Equatable, Sendable {
    package var field: String
    package var reason: String

    package init(_ field: String, _ reason: String) {
        self.field = field
        self.reason = reason
    }
}
