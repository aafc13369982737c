/// The dashboard's web files by path, embedded in the program.
package enum DashboardFiles {
    package static let all: [String: [UInt8]] = EmbeddedFiles.all
}
