import CoordinatorService
import ServiceHost
import ServiceRuntime
import Glibc

@main
struct Main {
    static func main() async {
        exit(await Program.main(CoordinatorService.table, health: ServiceServer.askHealth, build: CoordinatorService.services))
    }
}
