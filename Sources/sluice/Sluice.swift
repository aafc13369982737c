import ArgumentParser
import ServiceRuntime

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "Conversion funnels over raw events: run a cluster, load events, ask questions.",
        discussion: """
            Example:
              sluice up --shards 2 --data ./sluice-data &
              sluice generate --users 1000 | sluice load -
              sluice query --steps "Visit,Add to Cart,Purchase"
            """,
        version: Program.version,
        subcommands: [Up.self, Load.self, Query.self, Funnels.self, Generate.self, Verify.self, Compact.self, ClusterCommand.self])
}
