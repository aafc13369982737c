import ArgumentParser
import Foundation
import FoundationNetworking
import FunnelModel
import ServiceRuntime

struct Funnels: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save and delete funnel definitions.",
        discussion: "Example:\n  sluice funnels apply shop.json",
        subcommands: [List.self, Get.self, Apply.self, Delete.self])

    struct Target: ParsableArguments {
        @Option(help: "The coordinator's HTTP address: host:port, or https://host:port.") var to = "127.0.0.1:8090"
        @OptionGroup var key: KeyOptions

        /// - Returns: the body, which may be empty; problems of the server become errors with their detail.
        func call(_ method: String, _ path: String, _ body: [UInt8]? = nil) async throws -> [UInt8] {
            guard key.tlsCa == nil else {
                throw ValidationError("--tls-ca is not supported here: name an address as https://… whose certificate the system trusts")
            }
            let base = to.hasPrefix("https://") || to.hasPrefix("http://") ? to : "http://\(to)"
            guard let url = URL(string: base + path), let host = url.host else { throw ValidationError("\"\(to)\" is not host:port") }
            try key.check(host: host, encrypted: url.scheme == "https")
            var request = URLRequest(url: url, timeoutInterval: 30)
            request.httpMethod = method
            request.httpBody = body.map { Data($0) }
            if let authorization = try key.authorization() { request.setValue(authorization, forHTTPHeaderField: "Authorization") }
            let (data, response): (Data, URLResponse)
            do {
                (data, response) = try await URLSession.shared.data(for: request)
            } catch {
                throw Failure("\(to): \(error.localizedDescription)")
            }
            let status = (response as? HTTPURLResponse)?.statusCode ?? 0
            guard (200..<300).contains(status) else { throw Failure(Self.problem(Array(data), status)) }
            return Array(data)
        }

        private static func problem(_ body: [UInt8], _ status: Int) -> String {
            guard let document = try? JSONParser.parse(body) else { return "HTTP \(status)" }
            let faults = (document["errors"]?.asArray ?? []).map {
                "\n  " + "\($0["field"]?.asString?.string ?? ""): \($0["reason"]?.asString?.string ?? "")".printable
            }
            return (document["detail"]?.asString?.string ?? "HTTP \(status)").printable + faults.joined()
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "One line per funnel.")
        @OptionGroup var target: Target

        func run() async throws {
            let list = try JSONParser.parse(try await target.call("GET", "/v1/funnels"))["funnels"]?.asArray ?? []
            for funnel in list {
                let names = (funnel["steps"]?.asArray ?? []).map { $0.asString?.string ?? $0["name"]?.asString?.string ?? "" }
                let mark = funnel["default"] == true ? " (default)" : ""
                Terminal.out("\(funnel["funnel_id"]?.asString?.string ?? "")\(mark): \(names.joined(separator: " > ").printable)")
            }
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print a definition as JSON.")
        @Argument var funnelID: String
        @OptionGroup var target: Target

        func run() async throws {
            Terminal.out(json: try await target.call("GET", "/v1/funnels/\(funnelID)"))
        }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the definition in a file under its funnel_id.", discussion: "Example:\n  sluice funnels apply shop.json")
        @Argument(help: "JSON file; - reads standard input.") var file: String
        @OptionGroup var target: Target

        func run() async throws {
            let bytes = file == "-" ? Array(FileHandle.standardInput.readDataToEndOfFile()) : DurableFile.read(file)
            guard let bytes else { throw ValidationError("cannot read \(file)") }
            let document: JSONValue
            do throws(JSONError) {
                document = try JSONParser.parse(bytes)
            } catch {
                throw ValidationError("\(file): \(error)")
            }
            guard let id = document["funnel_id"]?.asString?.string else { throw ValidationError("\(file) has no \"funnel_id\"") }
            _ = try await target.call("PUT", "/v1/funnels/\(id)", bytes)
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a definition; events stay.")
        @Argument var funnelID: String
        @OptionGroup var target: Target

        func run() async throws {
            _ = try await target.call("DELETE", "/v1/funnels/\(funnelID)")
            Terminal.note("deleted \(funnelID)")
        }
    }
}
