import FunnelEdge
import FunnelRuntime
import Glibc
import IngestService

@main
struct Main {
    static func main() async {
        exit(await Program.main(IngestService.table, health: EdgeServer.askHealth, build: IngestService.services))
    }
}
