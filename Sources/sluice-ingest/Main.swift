import Glibc
import IngestService
import ServiceHost
import ServiceRuntime

@main
struct Main {
    static func main() async {
        exit(await Program.main(IngestService.table, health: ServiceServer.askHealth, build: IngestService.services))
    }
}
