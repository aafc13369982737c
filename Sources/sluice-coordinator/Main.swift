import CoordinatorService
import FunnelEdge
import FunnelRuntime
import Glibc

@main
struct Main {
    static func main() async {
        exit(await Program.main(CoordinatorService.table, health: EdgeServer.askHealth, build: CoordinatorService.services))
    }
}
