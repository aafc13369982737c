/// One thing an operator can set: by flag, environment, file or default, in this order of precedence.
package struct Setting: Sendable {
    /// As in the file and, behind `--`, on the command line; the variable is `SLUICE_` and the name in capitals.
    package var name: String
    package var kind: Kind
    package var fallback: String?
    package var help: String
    /// Never printed, and not taken from the command line, where other users of the machine could read it.
    package var secret: Bool

    package enum Kind: Sendable {
        case text
        /// Texts by commas; in a file also a list.
        case list
        case integer(ClosedRange<Int>)
        case flag
        case choice([String])
    }

    package init(_ name: String, _ kind: Kind, default fallback: String? = nil, secret: Bool = false, _ help: String) {
        self.name = name
        self.kind = kind
        self.fallback = fallback
        self.secret = secret
        self.help = help
    }

    package var variable: String {
        "SLUICE_" + name.uppercased().replacing("-", with: "_")
    }

    /// The reason why `text` won't do, nil where it will.
    func fault(_ text: String) -> String? {
        switch kind {
        case .text, .list: return nil
        case .integer(let range):
            if let value = Int(text), range.contains(value) { return nil }
            return "must be an integer from \(range.lowerBound) to \(range.upperBound), not \"\(text)\""
        case .flag: return text == "true" || text == "false" ? nil : "must be true or false, not \"\(text)\""
        case .choice(let names):
            return names.contains(text) ? nil : "must be one of \(names.joined(separator: ", ")), not \"\(text)\""
        }
    }

    var placeholder: String {
        switch kind {
        case .text: return "TEXT"
        case .list: return "TEXT,…"
        case .integer: return "N"
        case .flag: return ""
        case .choice(let names): return names.joined(separator: "|")
        }
    }
}

/// What a program can be told, with the words for its `--help`.
package struct SettingsTable: Sendable {
    package var program: String
    package var summary: String
    package var example: String
    package var settings: [Setting]

    package init(program: String, summary: String, example: String, settings: [Setting]) {
        self.program = program
        self.summary = summary
        self.example = example
        self.settings = settings
    }

    package var helpText: String {
        var text = "\(program): \(summary)\n\nUsage: \(program) [settings]\n       \(program) health [settings]\n\nSettings:\n"
        for setting in settings {
            let head = setting.secret ? "(only \(setting.variable))" : "--\(setting.name) \(setting.placeholder)"
            text += "  \(head)\n      \(setting.help)"
            text += setting.fallback.map { $0.isEmpty ? "\n" : " [default: \($0)]\n" } ?? "\n"
        }
        text += """
              --config FILE
                  YAML file with the same names as keys
              --print-config
                  print the effective settings, without secrets, and exit
              --help, --version

            Every setting can also be given as an environment variable: SLUICE_ and the name in capitals.
            `health` asks the running process's /healthz and exits with 0 or 1.

            Example:
              \(example)

            """
        return text
    }
}
