import ArgumentParser
import Foundation
import ServiceRuntime

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "Exact conversion funnels over raw events.",
        discussion: """
            Runs a cluster, loads events into it, and asks it for reports. "sluice up" is \
            for one machine; deploy/README.md describes containers.

            Examples:
              sluice up --shards 2 --data ./sluice-data &
              sluice generate --users 1000 | sluice load -
              sluice query --steps "Visit,Add to Cart,Purchase"

            --generate-completion-script bash (or zsh, fish) prints completions for a shell.
            """,
        version: Program.version,
        subcommands: [
            Up.self, Load.self, Export.self, Query.self, Paths.self, Predict.self, Times.self, Explain.self, Users.self, Funnels.self,
            Keys.self, Projects.self, Alerts.self, Channels.self, Reports.self, Cohorts.self, Annotations.self, Apply.self,
            Generate.self, Verify.self, Compact.self, Rules.self, ClusterCommand.self,
        ])

    static func main() async {
        let arguments = Array(ProcessInfo.processInfo.arguments.dropFirst())
        if let unknown = UnknownCommand(arguments, of: Self.self) {
            Terminal.note(unknown.text)
            Self.exit(withError: ExitCode.validationFailure)
        }
        await main(arguments)
    }
}
