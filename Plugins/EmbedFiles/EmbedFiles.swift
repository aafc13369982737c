import Foundation
import PackagePlugin

/// Embeds every file of a target that is not Swift: the generated `EmbeddedFiles.all` has their bytes by path. So there is no list of
/// them to keep, and files of one name in two folders do not clash.
@main
struct EmbedFiles: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        guard let target = target.sourceModule else { return [] }
        let files = target.sourceFiles.filter { $0.type != .source && $0.type != .header }.map(\.url).sorted { $0.path < $1.path }
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedFiles.swift")
        return [
            .buildCommand(
                displayName: "Embed \(files.count) files of \(target.name)", executable: try context.tool(named: "embed-files").url,
                arguments: [output.path, target.directoryURL.path] + files.map(\.path), inputFiles: files, outputFiles: [output])
        ]
    }
}
