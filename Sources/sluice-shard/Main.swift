import FunnelEdge
import FunnelRuntime
import Glibc
import ShardService

@main
struct Main {
    static func main() async {
        exit(await Program.main(ShardService.table, health: EdgeServer.askHealth, build: ShardService.services))
    }
}
