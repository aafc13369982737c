import ArgumentParser
import FunnelModel

/// The first word of a command line that is no command where only a command may stand. `ArgumentParser` calls it an unexpected
/// argument.
struct UnknownCommand {
    private let word: String
    /// The commands before it, the program first.
    private let parents: [String]
    private let known: [String]

    /// Nil if there is none, or if an option comes first.
    init?(_ arguments: [String], of program: any ParsableCommand.Type) {
        var command = program
        var parents = [program._commandName]
        // "help" may stand before the name of a command, and is one itself.
        for word in arguments.drop(while: { $0 == "help" }) {
            let commands = command.configuration.subcommands
            if commands.isEmpty || word.hasPrefix("-") { return nil }
            guard let next = commands.first(where: { $0._commandName == word }) else {
                self.word = word
                self.parents = parents
                known = commands.map { $0._commandName }
                return
            }
            parents.append(word)
            command = next
        }
        return nil
    }

    var text: String {
        let path = parents.joined(separator: " ")
        let nearest = NearestNames.of(word, among: known, count: 2)
        let meant = nearest.isEmpty ? "" : "; did you mean \(NearestNames.alternatives(nearest.map { "'\($0)'" }))?"
        return """
            Error: \(path) has no command '\(word.printable)'\(meant)
            Commands: \(known.joined(separator: ", "))
              See '\(path) --help' for more information.
            """
    }
}
