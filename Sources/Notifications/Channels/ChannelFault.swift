/// Why a text of a channel or of a setting is not accepted: a predicate, such as "must begin with https://".
package struct ChannelFault: Error, Equatable, CustomStringConvertible {
    package var reason: String

    package var description: String { reason }

    init(_ reason: String) { self.reason = reason }
}
