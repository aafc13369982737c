import CoordinatorService
import Glibc
import ServiceHost
import ServiceRuntime

@main
struct Main {
    static func main() async {
        exit(await Program.main(CoordinatorService.table, health: ServiceServer.askHealth, build: CoordinatorService.services))
    }
}
