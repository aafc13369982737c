import CoordinatorService
import IngestService
import ServiceRuntime
import ShardService
import Testing

struct VariableTests {
    /// The warning of unknown variables goes by a list, which must not lag behind the settings.
    @Test func everySettingIsAKnownVariable() {
        for table in [IngestService.table, ShardService.table, CoordinatorService.table] {
            for setting in table.settings { #expect(KnownVariables.knows(setting.variable), "\(setting.variable)") }
        }
    }
}
