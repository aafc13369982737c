import FunnelModel
import Yams

/// The effective settings of one process.
package struct Settings: Sendable {
    private let table: SettingsTable
    private var values: [String: String] = [:]
    private var origins: [String: String] = [:]

    /// What the command line asks for besides settings.
    package enum Action: Equatable, Sendable {
        case run, health, help, version, printConfig
    }

    /// Reads the settings: command line before environment before file before defaults. Throws all faults at once, except for
    /// `help` and `version`, which need no valid settings.
    ///
    /// - Parameter readFile: returns the text of a file; nil if it can't be read.
    package static func resolve(
        _ table: SettingsTable, arguments: [String], environment: [String: String], readFile: (String) -> String?
    ) throws(InvalidDocument) -> (Settings, Action) {
        var faults: [FieldFault] = []
        var settings = Settings(table: table)
        for setting in table.settings {
            if let fallback = setting.fallback { settings.values[setting.name] = fallback }
        }
        let line = CommandLineValues(arguments, table, &faults)
        if let path = line.values["config"] {
            settings.readYAML(path, text: readFile(path), from: "--config", &faults)
        } else if let path = environment["SLUICE_CONFIG"], !path.isEmpty {
            settings.readYAML(path, text: readFile(path), from: "SLUICE_CONFIG", &faults)
        }
        for setting in table.settings {
            if let text = environment[setting.variable], !text.isEmpty {
                settings.set(setting, text, from: setting.variable, &faults)
            }
            if let text = line.values[setting.name] { settings.set(setting, text, from: "--\(setting.name)", &faults) }
        }
        if line.action != .help, line.action != .version, !faults.isEmpty { throw InvalidDocument(faults) }
        return (settings, line.action)
    }

    private init(table: SettingsTable) { self.table = table }

    private mutating func set(_ setting: Setting, _ text: String, from origin: String, _ faults: inout [FieldFault]) {
        if let reason = setting.fault(text) { faults.append(FieldFault(origin, reason)) }
        values[setting.name] = text
        origins[setting.name] = origin
    }

    private mutating func readYAML(_ path: String, text: String?, from origin: String, _ faults: inout [FieldFault]) {
        guard let text else { return faults.append(FieldFault(origin, "cannot read \(path)")) }
        let document: Node?
        do {
            document = try Yams.compose(yaml: text)
        } catch {
            return faults.append(FieldFault(path, "is not YAML: \((error as? YamlError)?.place ?? "it cannot be read")"))
        }
        // The file is empty or has only comments.
        guard let document, document.scalar?.string != "" else { return }
        guard let members = document.mapping else { return faults.append(FieldFault(path, "must hold one mapping of settings")) }
        for (key, value) in members {
            let name = key.scalar?.string ?? "?"
            guard let setting = table.settings.first(where: { $0.name == name }) else {
                faults.append(FieldFault("\(path): \(name)", "is not a known setting"))
                continue
            }
            guard let text = setting.text(of: value) else {
                let wanted = if case .list = setting.kind { "a text or a list of texts" } else { "one value" }
                faults.append(FieldFault("\(path): \(name)", "must be \(wanted), not a \(value.mapping == nil ? "list" : "mapping")"))
                continue
            }
            set(setting, text, from: "\(path): \(name)", &faults)
        }
    }

    /// The text of a setting; empty if it has neither a value nor a default.
    package func text(_ name: String) -> String { values[name] ?? "" }

    /// The entries of a list setting, trimmed, without empty ones.
    package func list(_ name: String) -> [String] {
        text(name).split(separator: ",").map { String($0.trimmingSpaces) }.filter { !$0.isEmpty }
    }

    /// An integer setting; 0 if it has neither a value nor a default. `resolve` has checked the value.
    package func integer(_ name: String) -> Int { Int(text(name)) ?? 0 }

    /// True if the command line, the environment or the file has a value.
    package func isSet(_ name: String) -> Bool { origins[name] != nil }

    package func flag(_ name: String) -> Bool { text(name) == "true" }

    /// One line for each setting: `name: value  # origin`. A secret is shown as `(set)`.
    package var printed: String {
        table.settings.map { setting in
            let value = setting.secret ? (text(setting.name).isEmpty ? "" : "(set)") : text(setting.name)
            return "\(setting.name): \(value)  # \(origins[setting.name] ?? "default")\n"
        }.joined()
    }
}

/// The command line: `--name value`, `--name=value` and bare flags.
private struct CommandLineValues {
    var values: [String: String] = [:]
    var action = Settings.Action.run

    init(_ arguments: [String], _ table: SettingsTable, _ faults: inout [FieldFault]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h": action = .help
            case "--version": action = .version
            case "--print-config": action = .printConfig
            case "health": action = .health
            default: read(argument, &rest, table, &faults)
            }
        }
    }

    private mutating func read(
        _ argument: String, _ rest: inout ArraySlice<String>, _ table: SettingsTable, _ faults: inout [FieldFault]
    ) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = String(parts[0].dropFirst(2))
        let setting = table.settings.first { $0.name == name }
        guard parts[0].hasPrefix("--"), setting != nil || name == "config" else {
            return faults.append(FieldFault(parts[0], "is not a known setting; see --help"))
        }
        if let setting, setting.secret {
            faults.append(FieldFault(parts[0], "is a secret: give it as \(setting.variable) or in the file"))
        }
        if parts.count == 2 {
            values[name] = parts[1]
        } else if let setting, case .flag = setting.kind {
            // `--name`, and for scripts `--name true` and `--name false`.
            let given = rest.first.flatMap { $0 == "true" || $0 == "false" ? $0 : nil }
            if given != nil { rest.removeFirst() }
            values[name] = given ?? "true"
        } else if let value = rest.popFirst() {
            values[name] = value
        } else {
            faults.append(FieldFault(parts[0], "needs a value"))
        }
    }
}

extension StringProtocol {
    package var trimmingSpaces: SubSequence {
        var slice = self[...]
        while let first = slice.first, first.isWhitespace { slice = slice.dropFirst() }
        while let last = slice.last, last.isWhitespace { slice = slice.dropLast() }
        return slice
    }
}

extension Setting {
    /// The text of a YAML value; nil if it has the wrong shape. A scalar's own characters are taken, since parsing it as a number,
    /// a date or null could change it.
    fileprivate func text(of value: Node) -> String? {
        if let text = value.scalar?.string {
            guard case .flag = kind else { return text }
            // YAML has more words for true and false.
            return switch text.lowercased() {
            case "true", "yes", "on": "true"
            case "false", "no", "off": "false"
            default: text
            }
        }
        guard case .list = kind, let items = value.sequence else { return nil }
        let texts = items.compactMap { $0.scalar?.string }
        return texts.count == items.count ? texts.joined(separator: ",") : nil
    }
}
