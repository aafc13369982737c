import ArgumentParser
import FunnelModel

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Save funnels, channels, alert rules, reports, cohorts and normalisation rules as the files of a folder have them.",
        discussion: """
            DIR has files in YAML or JSON, also in folders of it. Each document begins with its \
            'kind' (funnel, channel, alert, report, cohort or rules) and its 'id'; '---' separates \
            several in a YAML file. PROTOCOL.md, "Definitions as files", describes them.

            All files are checked, and compared with what is saved, before anything is changed. \
            The difference is printed first. A second run changes nothing.

            --prune also deletes documents that an earlier run created and that are in no file \
            any more. The coordinator remembers them by --name, so that any machine can run this \
            command. Other documents are never deleted.

            Needs an API key of the role admin, in the variable SLUICE_KEY or in --key-file. The \
            exit status is 0 if all is done, and 1 if there is a fault. With --dry-run \
            --detailed-exitcode it is 2 if a run would change something.

            Examples:
              sluice apply definitions --dry-run
              sluice apply definitions --prune
              sluice apply shop --name shop --prune
            """)

    @Argument(help: ArgumentHelp("Folder with files of definitions.", valueName: "dir"), completion: .directory) var folder: String
    @Flag(help: "Print the difference, and change nothing.") var dryRun = false
    @Flag(help: "Delete what an earlier run created and no file has any more.") var prune = false
    @Option(help: ArgumentHelp("Name of the set of files, if several folders are applied to one project.", valueName: "name"))
    var name = "default"
    @Flag(help: "With --dry-run: exit with 2 if there are differences.") var detailedExitcode = false
    @OptionGroup var target: HTTPTarget

    func validate() throws {
        guard FunnelDefinition.isValidID(ByteString(name)) else {
            throw ValidationError("--name must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}; \"\(name.printable)\" does not")
        }
        if detailedExitcode, !dryRun { throw ValidationError("--detailed-exitcode needs --dry-run") }
    }

    func run() async throws {
        var files = try DefinitionFolder(folder)
        try Self.check(files)
        let set = try await AppliedSet(name, target.client)
        let plan = try await ApplyPlan(&files, set, prune: prune, target.client)
        try Self.check(files)
        for step in plan.steps { Self.show(step) }
        if !plan.left.isEmpty {
            let list = plan.left.sorted().map(\.description).joined(separator: ", ").printable
            let advice = prune ? "this release cannot delete them" : "--prune deletes them"
            Terminal.out("in no file, though an earlier run created them: \(list); \(advice)")
        }
        if dryRun {
            Terminal.out(ApplySummary(planned: plan).text)
            if detailedExitcode, plan.hasChanges { throw ExitCode(2) }
        } else {
            Terminal.out(try await Self.carryOut(plan, set, target.client).text)
        }
    }

    private static func check(_ files: DefinitionFolder) throws {
        guard !files.faults.isEmpty else { return }
        throw Failure((["nothing was changed; correct these faults:"] + files.faults).joined(separator: "\n"))
    }

    private static func show(_ step: ApplyPlan.Step) {
        let place = step.place.map { " (\($0))" } ?? ""
        switch step.action {
        case .create: Terminal.out(DocumentDiff.coloured("+ \(step.name)\(place)", "+"))
        case .change: Terminal.out(DocumentDiff.coloured("~ \(step.name)\(place)", "~"))
        case .delete: Terminal.out(DocumentDiff.coloured("- \(step.name)", "-"))
        case .compareSecrets:
            Terminal.out("= \(step.name)\(place): it has secrets, which the coordinator compares when they are sent")
            return
        }
        for line in DocumentDiff.lines(from: step.before, to: step.after) { Terminal.out(line) }
    }

    /// Makes the changes. What is created is noted in the set before, so that a run that breaks off leaves nothing that no later run
    /// could delete, and so that of two runs at the same time one fails.
    private static func carryOut(_ plan: ApplyPlan, _ set: AppliedSet, _ client: HTTPClient) async throws -> ApplySummary {
        var set = set
        var summary = ApplySummary(unchanged: plan.unchanged)
        var documents = set.documents.subtracting(plan.gone)
        let planned = documents.union(plan.creates)
        // Those that are gone are left out at the end: a run that changes nothing else is then one write.
        if !planned.isSubset(of: set.documents) { try await set.store(set.documents.union(planned)) }
        do {
            for step in plan.steps {
                try await carryOut(step, &summary, client)
                switch step.action {
                case .create: documents.insert(step.name)
                case .delete: documents.remove(step.name)
                case .change, .compareSecrets: break
                }
            }
        } catch {
            try? await set.store(documents)
            throw Failure("\(error)\n\(summary.text); then the run stopped. Run it again to make the other changes.")
        }
        try await set.store(documents)
        return summary
    }

    private static func carryOut(_ step: ApplyPlan.Step, _ summary: inout ApplySummary, _ client: HTTPClient) async throws {
        let path = step.kind.path(step.name.id)
        do {
            if let body = step.body {
                let tag = try await client.put(path, body.encode(), headers: step.condition)
                let isSame = step.action == .compareSecrets && tag == step.condition["If-Match"]
                if step.action == .compareSecrets, !isSame { Terminal.out("~ \(step.name): its secrets are replaced") }
                if !isSame, step.kind == .rules {
                    Terminal.note(Rules.repeatsMayCount)
                }
                summary.count(step.action, isSame: isSame)
            } else {
                _ = try await client.call("DELETE", path, headers: step.condition)
                summary.count(.delete)
            }
        } catch let failure as Failure {
            throw Failure("\(step.name)\(step.place.map { " (\($0))" } ?? ""): \(failure)")
        }
    }
}
