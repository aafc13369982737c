import FunnelProtocol
import Glibc
import NIOSSL
import Synchronization

/// The certificate, the key and the authorities of a process, as its PEM files were when they were last read without a fault. New
/// connections of every port, and to other services, use them; a connection keeps those with which it began.
package final class TLSFiles: Sendable {
    /// What one reading of the files made.
    private struct Contexts {
        var wire: NIOSSLContext
        var http: NIOSSLContext
        var client: NIOSSLContext
        /// When the process's own certificate begins and ends to be valid, in seconds since 1970.
        var begin: Int
        var end: Int
        /// The earliest end of a certificate of the chain.
        var expiry: Int
    }

    /// By which a change of the files is noticed; an entry is nil for a file that cannot be read.
    private typealias Stamp = [FileStamp?]

    private struct State {
        var used: Contexts
        /// The files as they were at the last reading, good or not.
        var read: Stamp
        /// The files as `look` saw them last.
        var seen: Stamp
        var fault: String?
    }

    /// The end of an attempt to read the files.
    package enum Outcome: Sendable, Equatable {
        case used(expiry: Int)
        /// The files before are still used.
        /// - Parameter isNew: false if the same files failed before, for the same reason.
        case refused(String, isNew: Bool)
    }

    private let server: TLSServerConfig
    private let trustRootsFile: String?
    private let state: Mutex<State>

    /// Reads the files.
    /// - Parameter trustRootsFile: the authorities of the servers that this process calls; nil for the system's.
    package init(_ server: TLSServerConfig, trustRootsFile: String? = nil) throws(TransportError) {
        self.server = server
        self.trustRootsFile = trustRootsFile
        let stamp = Self.stamp(server, trustRootsFile)
        let used = try Self.read(server, trustRootsFile)
        state = Mutex(State(used: used, read: stamp, seen: stamp, fault: nil))
    }

    /// Whether the certificate of a service must name its role.
    package var namesRoles: Bool { server.namedRole != nil }

    var wire: NIOSSLContext { state.withLock { $0.used.wire } }
    package var http: NIOSSLContext { state.withLock { $0.used.http } }
    var client: NIOSSLContext { state.withLock { $0.used.client } }

    /// The earliest end of a certificate of the chain in use, in seconds since 1970.
    package var expiry: Int { state.withLock { $0.used.expiry } }

    /// Why the last reading was refused; nil if it was not.
    package var fault: String? { state.withLock { $0.fault } }

    /// Why the certificate in use is not valid at `now` (seconds since 1970); nil if it is.
    package func invalidity(now: Int = time(nil)) -> String? { Self.invalidity(state.withLock { $0.used }, now) }

    /// Reads the files again if they have changed since the last reading and have not since the last look, so that they are probably
    /// complete. After a refusal it reads them at every look. To be called by one thread at a time, as `reload`.
    package func look(now: Int = time(nil)) -> Outcome? {
        let stamp = Self.stamp(server, trustRootsFile)
        let isDue = state.withLock { state in
            defer { state.seen = stamp }
            return stamp == state.seen && (stamp != state.read || state.fault != nil)
        }
        return isDue ? reload(now: now) : nil
    }

    /// Reads the files now.
    package func reload(now: Int = time(nil)) -> Outcome {
        // Before the files are read: a change while they are read is noticed by the next look.
        let stamp = Self.stamp(server, trustRootsFile)
        let result: Result<Contexts, TransportError>
        do throws(TransportError) {
            let contexts = try Self.read(server, trustRootsFile)
            if let fault = Self.invalidity(contexts, now) {
                throw TransportError(.failed, "\(fault) (\(server.certificateChainFile))")
            }
            result = .success(contexts)
        } catch {
            result = .failure(error)
        }
        return state.withLock { state in
            defer { state.read = stamp }
            switch result {
            case .success(let contexts):
                state.used = contexts
                state.fault = nil
                return .used(expiry: contexts.expiry)
            case .failure(let error):
                let isNew = state.fault != error.message || state.read != stamp
                state.fault = error.message
                return .refused(error.message, isNew: isNew)
            }
        }
    }

    private static func read(_ server: TLSServerConfig, _ trustRootsFile: String?) throws(TransportError) -> Contexts {
        for file in [server.clientRootsFile, trustRootsFile].compactMap(\.self) { try requireRegularFile(file) }
        let pair = try TLSPair(chainFile: server.certificateChainFile, keyFile: server.privateKeyFile)
        if let role = server.namedRole, !dnsNames(of: pair.chain[0]).contains(role.certificateName) {
            throw TransportError(
                .failed,
                "the certificate does not have the DNS name \(role.certificateName), which its role needs (\(server.certificateChainFile))")
        }
        let http: NIOSSLContext
        do {
            http = try NIOSSLContext(configuration: server.http(pair))
        } catch NIOSSLError.failedToLoadPrivateKey {
            throw TransportError(
                .failed, "the key does not belong to the certificate (\(server.certificateChainFile), \(server.privateKeyFile))")
        } catch {
            throw TransportError(.failed, "\(connectionWords(error)) (\(server.certificateChainFile), \(server.privateKeyFile))")
        }
        let wire = try reading([server.clientRootsFile]) { try NIOSSLContext(configuration: server.wire(pair)) }
        let client = try reading([trustRootsFile]) {
            try NIOSSLContext(configuration: TLSClientConfig.configuration(trustRootsFile, pair))
        }
        let end = Int(pair.chain[0].notValidAfter)
        return Contexts(
            wire: wire, http: http, client: client, begin: Int(pair.chain[0].notValidBefore), end: end,
            expiry: pair.chain.map { Int($0.notValidAfter) }.min() ?? end)
    }

    private static func invalidity(_ contexts: Contexts, _ now: Int) -> String? {
        if now > contexts.end { return "the certificate has expired" }
        return now < contexts.begin ? "the certificate is not valid yet" : nil
    }

    private static func stamp(_ server: TLSServerConfig, _ trustRootsFile: String?) -> Stamp {
        [server.certificateChainFile, server.privateKeyFile, server.clientRootsFile, trustRootsFile].compactMap(\.self).map(FileStamp.init)
    }
}

/// What changes if a file is written, or replaced by another one.
private struct FileStamp: Equatable {
    var device: UInt64
    var inode: UInt64
    var bytes: Int64
    var seconds: Int
    var nanoseconds: Int

    init?(_ path: String) {
        var found = stat()
        guard unsafe stat(path, &found) == 0 else { return nil }
        device = UInt64(found.st_dev)
        inode = UInt64(found.st_ino)
        bytes = Int64(found.st_size)
        seconds = found.st_mtim.tv_sec
        nanoseconds = found.st_mtim.tv_nsec
    }
}

extension Role {
    /// The DNS name by which a certificate names the role, as in `shard.sluice`.
    package var certificateName: String { "\(self).sluice" }
}

/// The DNS names of a certificate, in lower case.
func dnsNames(of certificate: NIOSSLCertificate) -> [String] {
    let names = certificate._subjectAlternativeNames().filter { $0.nameType == .dnsName }
    return names.map { String(decoding: $0.contents, as: UTF8.self).lowercased() }
}
