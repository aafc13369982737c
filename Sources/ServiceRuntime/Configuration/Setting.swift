/// One setting of a program. Command line, environment, file and default are read in this order; the first that has it wins.
package struct Setting: Sendable {
    /// The key in the file and, after `--`, the option. The variable is `SLUICE_` and the name in capitals, with `_` for `-`.
    package var name: String
    package var kind: Kind
    /// The default, as text; nil if there is none.
    package var fallback: String?
    package var help: String
    /// True: never printed, and rejected on the command line, where other users of the machine could read it.
    package var secret: Bool

    package enum Kind: Sendable {
        case text
        /// Comma-separated; in a file also a YAML list.
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

    /// Why `text` is not a valid value; nil if it is.
    func fault(_ text: String) -> String? {
        switch kind {
        case .text: return nil
        case .list:
            // `$A,$B` with variables that are not set must not be no list at all.
            let isEmpty = text.split(separator: ",").allSatisfy { $0.allSatisfy { $0 == " " } }
            return text.contains(",") && isEmpty ? "must have an entry; it has nothing but commas" : nil
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

/// The settings of one program, and the texts of its `--help`.
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
                  YAML file; its keys are the names of the settings
              --print-config
                  print the effective settings, without secrets, and exit
              --help, --version

            Every setting is also an environment variable: SLUICE_ and the name in capitals, with _ for -.
            `health` requests /healthz of the running process and exits with 0 if it answers 200,
            with 1 if not, with 2 if a setting is wrong.

            Example:
              \(example)

            """
        return text
    }
}
