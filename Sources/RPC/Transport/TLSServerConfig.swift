import NIOSSL

/// A server's side of TLS: PEM files, ALPN `h2` only, TLS 1.2 or later.
package struct TLSServerConfig: Sendable {
    /// The certificate and its intermediates.
    package var certificateChainFile: String
    /// The private key.
    package var privateKeyFile: String
    /// If set, clients must show a certificate signed by one of these.
    package var clientRootsFile: String?

    /// Paths of PEM files.
    package init(certificateChainFile: String, privateKeyFile: String, clientRootsFile: String? = nil) {
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
        self.clientRootsFile = clientRootsFile
    }

    /// Reads the files; throws if they cannot be used.
    package func check() throws(TransportError) {
        do {
            _ = try makeContext()
        } catch {
            throw error as? TransportError ?? TransportError(.failed, connectionWords(error))
        }
    }

    /// The earliest expiry of a certificate of the chain, in seconds since 1970.
    package func expiry() throws -> Double {
        let chain = try reading([certificateChainFile]) { try NIOSSLCertificate.fromPEMFile(certificateChainFile) }
        return chain.map { Double($0.notValidAfter) }.min() ?? 0
    }

    /// The same certificate for an HTTP/1.1 listener; no client certificate is asked for there.
    package func httpConfiguration() throws -> TLSConfiguration {
        var configuration = try reading([certificateChainFile, privateKeyFile]) {
            TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(certificateChainFile).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: privateKeyFile, format: .pem)))
        }
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = forwardSecretSuites
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }

    func makeContext() throws -> NIOSSLContext {
        var configuration = try httpConfiguration()
        configuration.applicationProtocols = ["h2"]
        if let clientRootsFile {
            configuration.trustRoots = .file(clientRootsFile)
            configuration.certificateVerification = .noHostnameVerification
        }
        return try reading([certificateChainFile, privateKeyFile, clientRootsFile]) { try NIOSSLContext(configuration: configuration) }
    }
}

/// Cipher suites with forward secrecy, for TLS 1.2; all suites of TLS 1.3 have it. A key that is stolen later decrypts
/// nothing that was recorded before.
let forwardSecretSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"

/// Runs `body`; its error becomes a `TransportError` that names the files.
func reading<T>(_ files: [String?], _ body: () throws -> T) throws(TransportError) -> T {
    do {
        return try body()
    } catch {
        let names = files.compactMap(\.self).joined(separator: ", ")
        throw TransportError(.failed, connectionWords(error) + (names.isEmpty ? "" : " (\(names))"))
    }
}
