import ArgumentParser
import Foundation
import FunnelModel
import ServiceRuntime

struct Channels: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save, test and delete the channels of notices.",
        discussion: """
            A channel is a place where notices of alert rules go: a webhook, a chat, \
            Alertmanager, a mailbox or a file. CHANNELS.md describes the kinds. Needs an API \
            key of the role admin, in the variable SLUICE_KEY or in --key-file.

            Examples:
              sluice channels apply ops.yaml
              sluice channels test ops
              sluice channels list
            """,
        subcommands: [List.self, Get.self, Apply.self, Delete.self, Test.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the channels, and what waits for each, one a line.",
            discussion: """
                Examples:
                  sluice channels list
                  sluice channels list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/channels")
            if format == .json { return Terminal.out(json: answer) }
            let channels = try JSONParser.parse(answer)["channels"]?.asArray ?? []
            if channels.isEmpty { return Terminal.note("no channels; 'sluice channels apply FILE' saves one") }
            for channel in channels {
                Terminal.out(Self.line(of: channel))
            }
        }

        private static func line(of channel: JSONValue) -> String {
            let delivery = channel["delivery"]
            func text(_ value: JSONValue?) -> String { value?.asString?.string ?? "" }
            var parts = ["\(text(channel["kind"]))", "\(delivery?["waiting"]?.asInteger ?? 0) waiting"]
            if let time = delivery?["delivered_at"]?.asString { parts.append("last delivered \(time.string)") }
            if let time = delivery?["failed_at"]?.asString {
                parts.append("last failed \(time.string)")
                if let reason = delivery?["reason"]?.asString { parts.append(reason.string) }
            }
            return "\(text(channel["id"])): \(parts.joined(separator: "; "))".printable
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a channel as JSON, without its secrets.",
            discussion: """
                The output can be saved again with 'sluice channels apply': secrets that it \
                leaves out stay as they are.

                Example:
                  sluice channels get ops
                """)
        @Argument(help: ArgumentHelp("Id of the channel.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws { Terminal.out(json: try await target.client.call("GET", "/v1/channels/\(id)")) }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the channel in a file under its id.",
            discussion: """
                The file can name where a secret is: secret_env an environment variable of this \
                command, secret_file a file. url_env, url_file, authorization_env and \
                authorization_file do the same.

                Examples:
                  sluice channels apply ops.yaml
                  HOOK=https://hooks.example.com/1 sluice channels apply chat.yaml
                """)
        @Argument(
            help: "File with a channel, YAML or JSON; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let document = try DocumentFile.read(file)
            let id = try DocumentFile.id(of: document, file)
            let complete = try DocumentFile.checking(file == "-" ? "the document" : file.printable) { () throws(InvalidDocument) in
                try ChannelFile.withSecrets(document)
            }
            _ = try await target.client.call("PUT", "/v1/channels/\(id)", complete.encode())
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a channel, and the notices that wait for it.",
            discussion: """
                Alert rules that name the channel are invalid from then on.

                Example:
                  sluice channels delete ops
                """)
        @Argument(help: ArgumentHelp("Id of the channel.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/channels/\(id)")
            Terminal.note("deleted \(id)")
            try await AlertText.warn(target.client, "the channel \(id)") { rule in
                rule["channels"]?.asArray?.contains { $0.asString?.string == id } == true
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a test notice to a channel now, and say whether it arrived.",
            discussion: """
                The exit status is 1 if the channel did not take the notice.

                Example:
                  sluice channels test ops
                """)
        @Argument(help: ArgumentHelp("Id of the channel.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try JSONParser.parse(try await target.client.call("POST", "/v1/channels/\(id)/test", seconds: 60))
            guard answer["delivered"] == true else { throw Failure("\(id): \(answer["reason"]?.asString?.string ?? "")".printable) }
            Terminal.note("\(id): delivered")
        }
    }
}
