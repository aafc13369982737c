import ArgumentParser

struct Users: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the users that a report counts.",
        discussion: """
            Examples:
              sluice users list shop --dropped 3
              sluice users list shop --converted --format csv > buyers.csv
            """,
        subcommands: [List.self])
}
