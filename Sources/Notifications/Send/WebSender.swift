import AsyncHTTPClient
import Foundation
import FunnelModel
import NIOCore
import NIOHTTP1
import NIOSSL

/// Sends HTTP requests of channels. The name of the host is resolved once; all its addresses are checked, and the connection goes to one of
/// those. A second look-up could give an address that was not checked.
struct WebSender: Sendable {
    private let settings: NoticeSender.Settings
    private let resolver: HostResolver
    private let group: any EventLoopGroup

    init(_ settings: NoticeSender.Settings, resolver: HostResolver, group: any EventLoopGroup) {
        self.settings = settings
        self.resolver = resolver
        self.group = group
    }

    func send(_ message: WebMessage, attempt: Int) async -> DeliveryOutcome {
        let deadline = NIODeadline.now() + .seconds(Int64(settings.answerSeconds))
        let addresses: [IPAddress]
        do {
            if let address = IPAddress(message.target.host) {
                addresses = [address]
            } else {
                addresses = try await resolver.addresses(message.target.host, settings.answerSeconds)
            }
        } catch {
            return .failed(words(error))
        }
        do throws(ChannelFault) {
            try settings.targets.check(message.target, at: addresses)
        } catch {
            return .refused(error.reason)
        }
        // `dnsOverride` goes by the host as `URL` reads it. With another one, the client would resolve the name by itself.
        let url = message.target.url
        guard let host = URL(string: url)?.host, host == message.target.host || host == "[\(message.target.host)]" else {
            return .refused("the URL has a host that cannot be read in one way only")
        }
        return await exchange(message, url, at: addresses[max(attempt, 0) % addresses.count], by: deadline)
    }

    private func exchange(_ message: WebMessage, _ url: String, at address: IPAddress, by deadline: NIODeadline) async -> DeliveryOutcome {
        let client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration(message.target, at: address))
        let outcome: DeliveryOutcome
        do {
            outcome = try await Self.post(message, url, client, by: deadline)
        } catch {
            outcome = .failed(reason(error, message.target))
        }
        try? await client.shutdown()
        return outcome
    }

    private func configuration(_ target: WebTarget, at address: IPAddress) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.dnsOverride = [target.host: address.description]
        configuration.proxy = nil
        configuration.httpVersion = .http1Only
        configuration.decompression = .disabled
        configuration.timeout.connect = .seconds(Int64(settings.answerSeconds))
        configuration.connectionPool.retryConnectionEstablishment = false
        if let authorities = settings.authorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.additionalTrustRoots = [.file(authorities)]
            configuration.tlsConfiguration = tls
        }
        return configuration
    }

    private static func post(
        _ message: WebMessage, _ url: String, _ client: HTTPClient, by deadline: NIODeadline
    ) async throws -> DeliveryOutcome {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "Sluice")
        for (name, value) in message.headers { request.headers.add(name: name, value: value) }
        request.body = .bytes(message.body)
        let response = try await client.execute(request, deadline: deadline)
        let status = Int(response.status.code)
        // What a success says does not matter. The body is not read, and the connection closes with the client.
        let text = (200...299).contains(status) ? "" : await firstLine(response.body, by: deadline)
        return .answer(status: status, retryAfter: response.headers.first(name: "Retry-After"), text: text)
    }

    /// The first line of an answer, as far as it comes in time and within the limit of bytes.
    private static func firstLine(_ body: HTTPClientResponse.Body, by deadline: NIODeadline) async -> String {
        let reading = Task {
            var bytes: [UInt8] = []
            for try await part in body {
                bytes += part.readableBytesView.prefix(NoticeLimits.answerBytes - bytes.count)
                if bytes.count >= NoticeLimits.answerBytes { break }
            }
            return bytes
        }
        let clock = Task {
            try await Task.sleep(for: .nanoseconds(max(0, (deadline - .now()).nanoseconds)))
            reading.cancel()
        }
        defer { clock.cancel() }
        let bytes = await withTaskCancellationHandler {
            (try? await reading.value) ?? []
        } onCancel: {
            reading.cancel()
        }
        return String(decoding: bytes.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self).printable.cut(toBytes: NoticeLimits.reasonBytes / 2)
    }

    /// Why a request got no answer, without the URL, which may be a secret.
    private func reason(_ error: any Error, _ target: WebTarget) -> String {
        if let error = error as? HTTPClientError {
            let isLate = [.deadlineExceeded, .connectTimeout, .readTimeout, .writeTimeout, .tlsHandshakeTimeout].contains(error)
            return isLate ? "\(target) gave no answer within \(settings.answerSeconds) s" : "\(target): \(error.shortDescription)"
        }
        return error is CancellationError ? "the delivery was cancelled" : "\(target): \(words(error).printable)"
    }
}
