import FunnelProtocol
import Glibc
import NIOSSL

/// A server's side of TLS: PEM files, ALPN `h2` only, TLS 1.2 or later.
package struct TLSServerConfig: Sendable {
    /// The certificate and its intermediates.
    package var certificateChainFile: String
    /// The private key.
    package var privateKeyFile: String
    /// If set, the certificates of clients must be signed by one of these.
    package var clientRootsFile: String?
    /// Whether clients may connect without a certificate although `clientRootsFile` is set.
    package var mayLackCertificate = false
    /// If set, certificates name roles: our own must name this one, and a service's must name its role.
    package var namedRole: Role?

    /// Paths of PEM files.
    package init(certificateChainFile: String, privateKeyFile: String, clientRootsFile: String? = nil) {
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
        self.clientRootsFile = clientRootsFile
    }

    /// The configuration of an HTTP/1.1 listener. It asks for no client certificate.
    func http(_ pair: TLSPair) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: pair.chain.map { .certificate($0) }, privateKey: .privateKey(pair.key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = forwardSecretSuites
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }

    /// The configuration of a wire port.
    func wire(_ pair: TLSPair) -> TLSConfiguration {
        var configuration = http(pair)
        configuration.applicationProtocols = ["h2"]
        if let clientRootsFile {
            configuration.trustRoots = .file(clientRootsFile)
            configuration.certificateVerification = mayLackCertificate ? .optionalVerification : .noHostnameVerification
        }
        return configuration
    }
}

/// A certificate chain and its private key.
struct TLSPair {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey

    init(chainFile: String, keyFile: String) throws(TransportError) {
        for file in [chainFile, keyFile] { try requireRegularFile(file) }
        chain = try reading([chainFile]) { try NIOSSLCertificate.fromPEMFile(chainFile) }
        key = try reading([keyFile]) { try NIOSSLPrivateKey(file: keyFile, format: .pem) }
        if chain.isEmpty { throw TransportError(.failed, "a file has no certificate that can be read (\(chainFile))") }
    }
}

/// Cipher suites with forward secrecy, for TLS 1.2; all suites of TLS 1.3 have it. A key that is stolen later decrypts
/// nothing that was recorded before.
let forwardSecretSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"

/// Throws unless a file exists and is a regular one: reading a FIFO would wait for a writer.
func requireRegularFile(_ path: String) throws(TransportError) {
    var found = stat()
    guard unsafe stat(path, &found) == 0 else {
        let reason = isMissing(path) ? "there is no such file" : unsafe String(cString: strerror(errno))
        throw TransportError(.failed, "\(reason) (\(path))")
    }
    guard found.st_mode & S_IFMT == S_IFREG else { throw TransportError(.failed, "no regular file (\(path))") }
}

/// Runs `body`; its error becomes a `TransportError` that names the files.
func reading<T>(_ files: [String?], _ body: () throws -> T) throws(TransportError) -> T {
    do {
        return try body()
    } catch {
        let names = files.compactMap(\.self).joined(separator: ", ")
        let words = files.compactMap(\.self).contains(where: isMissing) ? "there is no such file" : connectionWords(error)
        throw TransportError(.failed, words + (names.isEmpty ? "" : " (\(names))"))
    }
}

private func isMissing(_ path: String) -> Bool { unsafe access(path, F_OK) != 0 && errno == ENOENT }
