import FunnelModel
import Glibc

/// Hands mails to `sendmail`, or a program with its interface, such as those of msmtp, postfix and exim.
enum MailSender {
    /// Exit statuses after which a retry would fail too (`sysexits.h`): usage, data, no user, no host, permission, configuration.
    private static let permanent: Set<Int32> = [64, 65, 67, 68, 77, 78]

    static func send(_ message: MailMessage, program: String, seconds: Int) async -> DeliveryOutcome {
        var environment = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"]
        // msmtp reads its configuration from there.
        for name in ["HOME", "USER", "LOGNAME"] { environment[name] = getenv(name).map { String(cString: $0) } }
        // -i: a line with only a dot does not end the message.
        let process = ChildProcess(
            program: program, arguments: ["-i", "-f", message.from.text, "--"] + message.to.map(\.text), environment: environment)
        let (end, errorLine) = await process.run(input: message.bytes, seconds: seconds)
        let said = errorLine.isEmpty ? "" : ": \(errorLine.printable)"
        switch end {
        case .exited(0): return .delivered
        case .exited(let status) where permanent.contains(status): return .refused("sendmail ended with status \(status)\(said)")
        case .exited(let status): return .failed("sendmail ended with status \(status)\(said)")
        case .killed(let signal): return .failed("sendmail ended by signal \(signal)\(said)")
        case .timedOut: return .failed("sendmail did not end within \(seconds) s\(said)")
        case .failed(let code): return .failed("\(program) did not start: \(String(cString: strerror(code)))")
        }
    }
}
