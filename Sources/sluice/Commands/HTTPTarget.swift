import ArgumentParser
import FunnelModel
import ServiceRuntime

/// The coordinator's HTTP port, for commands that use it.
struct HTTPTarget: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "HTTP address of the coordinator: host:port, or https://host:port with a certificate that the system trusts.",
            valueName: "address"))
    var to = CalledService.coordinator.http
    @OptionGroup var key: HTTPKeyOptions

    func validate() throws {
        if client.base == nil {
            throw ValidationError("--to " + (addressFault(to) ?? "must be host:port or https://host:port, not \"\(to.printable)\""))
        }
    }

    var client: HTTPClient { HTTPClient(to, key) }
}
