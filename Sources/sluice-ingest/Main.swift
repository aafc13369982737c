import ServiceHost
import ServiceRuntime
import Glibc
import IngestService

@main
struct Main {
    static func main() async {
        exit(await Program.main(IngestService.table, health: ServiceServer.askHealth, build: IngestService.services))
    }
}
