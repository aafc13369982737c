import HTTP2
import RPC
import ServiceRuntime

/// Limits of the two ports of a service.
package enum PortSettings {
    package static let all = [
        Setting(
            "http-connections", .integer(128...1_000_000), default: "\(HTTPPortState.connectionsMax)", "max connections of the HTTP port"),
        Setting(
            "wire-connections", .integer(128...1_000_000), default: "\(TransportLimits().maxConnections)",
            "max connections of the wire port; 64 of them are reserved for services"),
        Setting("header-kb", .integer(4...64), default: "32", "max size of the head of a request, in KiB"),
        Setting("head-seconds", .integer(1...600), default: "10", "max time for TLS and the head of a request, in seconds"),
        Setting("body-seconds-max", .integer(1...86_400), default: "600", "max time for the body of a request, in seconds"),
        Setting(
            "body-bytes-per-second", .integer(1...1_000_000_000), default: "4096", "min rate at which the body of a request must arrive"),
    ]

    /// The state of the HTTP port.
    package static func http(_ settings: Settings, _ proxies: TrustedProxies) -> HTTPPortState {
        var limits = HTTPPortState.Limits()
        limits.head = .seconds(settings.integer("head-seconds"))
        limits.headBytes = settings.integer("header-kb") << 10
        limits.body = body(settings)
        let connections = settings.integer("http-connections")
        return HTTPPortState(
            connections: connections, connectionsPerAddress: CommonSettings.connectionsPerAddress(settings, of: connections),
            limits: limits,
            proxies: proxies)
    }

    /// The limits of the wire port.
    package static func wire(_ settings: Settings) -> TransportLimits {
        var limits = TransportLimits()
        limits.maxConnections = settings.integer("wire-connections")
        limits.maxConnectionsPerAddress = CommonSettings.connectionsPerAddress(settings, of: limits.maxConnections)
        limits.body = body(settings)
        limits.http2.headerTimeout = .seconds(settings.integer("head-seconds"))
        limits.http2.maxHeaderBlockBytes = settings.integer("header-kb") << 10
        return limits
    }

    private static func body(_ settings: Settings) -> BodyClock.Limits {
        var limits = BodyClock.Limits()
        limits.most = .seconds(settings.integer("body-seconds-max"))
        limits.bytesPerSecond = settings.integer("body-bytes-per-second")
        return limits
    }
}
