import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

/// Which answer is accepted, how it is printed, and where it comes from.
struct AnswerOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, csv }

    enum HeavyUsers: String, ExpressibleByArgument, CaseIterable {
        case error
        case leaveOut = "leave_out"
    }

    @Option(help: ArgumentHelp("Output: a table for people, json as the coordinator answers, or csv.", valueName: "format"))
    var format = Format.table
    @Flag(help: "Accept an answer without the shards that do not respond; it names them. By default such a query fails.")
    var allowPartial = false
    @Option(
        help: ArgumentHelp(
            "What happens to users over a limit of FUNNEL.md section 9: error fails the query, leave_out counts without them.",
            valueName: "rule"))
    var heavyUsers = HeavyUsers.error
    @Option(help: ArgumentHelp("Wire address of the coordinator.", valueName: "host:port")) var to = CalledService.coordinator.wire
    @OptionGroup var key: KeyOptions

    func validate() throws {
        if let fault = addressFault(to) { throw ValidationError("--to \(fault)") }
    }

    func write(to document: inout QueryDocument) {
        if allowPartial { document.set("allow_partial", true, by: "--allow-partial") }
        if heavyUsers != .error { document.set("heavy_users", .text(heavyUsers.rawValue), by: "--heavy-users") }
    }

    /// The HTTP API of the coordinator, if its port is the one before the wire port, as by default. Nil if an API key would go to a
    /// port that is only a guess.
    var http: HTTPClient? {
        guard let target = parseAddress(to), target.port > 1 else { return nil }
        let hasKey = (try? key.base.authorization()) != nil
        if hasKey, target.port != CalledService.coordinator.wirePort { return nil }
        let host = target.host.contains(":") ? "[\(target.host)]" : target.host
        return HTTPClient("\(key.tlsCa == nil ? "http" : "https")://\(host):\(target.port - 1)", key.base)
    }

    /// The bodies of all frames of an answer.
    func ask(_ call: CallPath, _ document: QueryDocument) async throws -> [[UInt8]] {
        let client = try WireClient(to, of: .coordinator, key)
        var bodies: [[UInt8]] = []
        do throws(ProtocolError) {
            try await client.call(call, document.encode(), timeout: .seconds(60)) { bodies.append($0) }
        } catch {
            let hint = client.hint(error)
            await client.shutdown()
            throw document.failure(error, hint)
        }
        await client.shutdown()
        return bodies
    }
}
