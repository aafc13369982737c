import Glibc

/// Metrics of the process: those of Prometheus' client libraries, under the same names, and some of Sluice's own.
enum ProcessMetrics {
    static func add(to metrics: Metrics, version: String) {
        metrics.gauge("sluice_build_info", "always 1; the label version is the release", labels: [("version", version)]) { 1 }
        if let start = startTime() {
            metrics.gauge("process_start_time_seconds", "start time of the process, in seconds since 1970 UTC") { start }
        }
        metrics.counter("process_cpu_seconds_total", "CPU time of the process in user and system mode, in seconds") { cpuSeconds() }
        metrics.gauge("process_resident_memory_bytes", "memory of the process in RAM, in bytes") { Double(residentBytes() ?? 0) }
        metrics.gauge("process_virtual_memory_bytes", "virtual address space, in bytes") { Double((memoryPages()?.first ?? 0) * pageBytes) }
        metrics.gauge("process_open_fds", "open file descriptors") { Double(entries(of: "/proc/self/fd")) }
        metrics.gauge("process_max_fds", "max open file descriptors of the process") { openFilesMax() }
        metrics.gauge("sluice_process_mappings", "memory mappings of the process; compare with sluice_process_max_mappings") {
            Double(read("/proc/self/maps")?.utf8.count { $0 == UInt8(ascii: "\n") } ?? 0)
        }
        metrics.gauge("sluice_process_max_mappings", "max memory mappings of a process (vm.max_map_count)") {
            read("/proc/sys/vm/max_map_count").flatMap { Double($0.trimmingSpaces) } ?? 0
        }
    }

    private static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    /// Memory in RAM, in bytes; nil if it is not known.
    static func residentBytes() -> Int? {
        memoryPages().flatMap { $0.count > 1 ? $0[1] * pageBytes : nil }
    }

    private static func memoryPages() -> [Int]? {
        read("/proc/self/statm")?.split(separator: " ").compactMap { Int($0) }
    }

    private static func startTime() -> Double? {
        // The program's name is in brackets and may hold any character.
        guard let fields = read("/proc/self/stat")?.split(separator: ")").last?.split(separator: " "), fields.count > 19,
            let ticks = Double(fields[19]),
            let boot = read("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })?.split(separator: " ").last,
            let booted = Double(boot)
        else { return nil }
        return booted + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func cpuSeconds() -> Double {
        var spec = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spec)
        return Double(spec.tv_sec) + Double(spec.tv_nsec) / 1e9
    }

    private static func openFilesMax() -> Double {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return limit.rlim_cur == .max ? .infinity : Double(limit.rlim_cur)
    }

    private static func entries(of directory: String) -> Int {
        guard let stream = opendir(directory) else { return 0 }
        defer { closedir(stream) }
        var count = 0
        while readdir(stream) != nil { count += 1 }
        // Without `.`, `..` and the descriptor of the stream.
        return max(0, count - 3)
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = fread(&chunk, 1, chunk.count, file)
            if got == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<got]
        }
    }
}
