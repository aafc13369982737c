import ArgumentParser

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Repair or copy a cluster's directories.", subcommands: [Recover.self, Fork.self])
}
