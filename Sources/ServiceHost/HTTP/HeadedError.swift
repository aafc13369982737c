import HTTPTypes

/// An error whose answer gets some headers.
package struct HeadedError: Error, CustomStringConvertible {
    package let base: any Error
    package let headers: HTTPFields

    package init(_ base: any Error, _ headers: HTTPFields) {
        self.base = base
        self.headers = headers
    }

    package var description: String { "\(base)" }
}
