import Glibc
import ServiceHost
import ServiceRuntime
import ShardService

@main
struct Main {
    static func main() async {
        exit(await Program.main(ShardService.table, health: ServiceServer.askHealth, build: ShardService.services))
    }
}
