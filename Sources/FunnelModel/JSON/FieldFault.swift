/// What is wrong with one field of a definition, a query or a setting.
package struct FieldFault: Equatable, Sendable {
    package var field: String
    package var reason: String

    package init(_ field: String, _ reason: String) {
        self.field = field
        self.reason = reason
    }
}
