import CShims
import Dispatch
import Glibc

/// Runs a program without a shell: bytes in, exit status and the first line of its error output back, within a limit of time.
struct ChildProcess: Sendable {
    enum End: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
        case timedOut
        /// It did not start; `errno`.
        case failed(Int32)
    }

    private static let errorBytes = 4_096

    var program: String
    var arguments: [String]
    /// The only variables of the program: those of this process may hold secrets.
    var environment: [String: String]

    func run(input: [UInt8], seconds: Int) async -> (end: End, errorLine: String) {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: self.runBlocking(input: input, seconds: seconds)) }
        }
    }

    private func runBlocking(input: [UInt8], seconds: Int) -> (end: End, errorLine: String) {
        // A file in memory: the program reads it at its pace, and this thread never waits for a full pipe.
        guard let file = Self.memory(input) else { return (.failed(errno), "") }
        defer { close(file) }
        var pipe: [Int32] = [-1, -1]
        guard sluice_pipe(&pipe) == 0 else { return (.failed(errno), "") }
        defer { close(pipe[0]) }
        let (process, fault) = spawn(input: file, errors: pipe[1])
        close(pipe[1])
        guard let process else { return (.failed(fault), "") }
        return Self.wait(process, errors: pipe[0], seconds: seconds)
    }

    private static func memory(_ bytes: [UInt8]) -> Int32? {
        let file = sluice_memory_file()
        guard file >= 0 else { return nil }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else {
                close(file)
                return nil
            }
            written += max(0, count)
        }
        guard lseek(file, 0, SEEK_SET) == 0 else {
            close(file)
            return nil
        }
        return file
    }

    private func spawn(input: Int32, errors: Int32) -> (process: pid_t?, fault: Int32) {
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in argv + envp { free(text) } }
        var process: pid_t = 0
        let fault = sluice_spawn(program, &argv, &envp, input, errors, &process)
        return fault == 0 ? (process, 0) : (nil, fault)
    }

    /// Waits for the end of the program itself: one that it leaves in the background may keep its error output open.
    private static func wait(_ process: pid_t, errors: Int32, seconds: Int) -> (end: End, errorLine: String) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var output: [UInt8] = []
        var isOpen = true
        var status: Int32 = 0
        while true {
            let done = waitpid(process, &status, WNOHANG)
            if done == process || (done < 0 && errno != EINTR) { break }
            if ContinuousClock.now >= deadline {
                kill(-process, SIGKILL)
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                return (.timedOut, line(output))
            }
            if isOpen { isOpen = read(errors, into: &output, milliseconds: 10) } else { usleep(10_000) }
        }
        while isOpen, poll(errors, milliseconds: 0) { isOpen = read(errors, into: &output, milliseconds: 0) }
        let signal = status & 0x7F
        return (signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal), line(output))
    }

    private static func poll(_ file: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&entry, 1, milliseconds) > 0
    }

    /// Reads what has come, and keeps its beginning.
    /// - Returns: whether more may come.
    private static func read(_ file: Int32, into output: inout [UInt8], milliseconds: Int32) -> Bool {
        guard poll(file, milliseconds: milliseconds) else { return true }
        var buffer = [UInt8](repeating: 0, count: errorBytes)
        let count = Glibc.read(file, &buffer, buffer.count)
        guard count > 0 else { return count < 0 && errno == EINTR }
        output += buffer.prefix(min(count, errorBytes - output.count))
        return true
    }

    private static func line(_ output: [UInt8]) -> String { String(decoding: output.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self) }
}
