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

    /// Reads the files, to find out whether they will do.
    package func check() throws(TransportError) {
        do {
            _ = try makeContext()
        } catch {
            throw error as? TransportError ?? TransportError(.failed, connectionWords(error))
        }
    }

    /// When the first certificate of the chain ends to be valid, in seconds since 1970.
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

/// For TLS 1.2; all suites of TLS 1.3 are like these. A key that is stolen later opens nothing recorded before.
private let forwardSecretSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"

/// - Throws: `TransportError` in words, with the names of the files.
private func reading<T>(_ files: [String?], _ body: () throws -> T) throws(TransportError) -> T {
    do {
        return try body()
    } catch {
        let names = files.compactMap(\.self).joined(separator: ", ")
        throw TransportError(.failed, connectionWords(error) + (names.isEmpty ? "" : " (\(names))"))
    }
}

/// A client's side of TLS: the server is always verified, by name or address.
package struct TLSClientConfig: Sendable {
    /// Roots to trust instead of the system's.
    package var trustRootsFile: String?
    /// Our own certificate, where the server asks for one.
    package var certificateChainFile: String?
    /// Its key.
    package var privateKeyFile: String?
    /// The name the certificate must carry, if it is not the host we connect to. A certificate for the socket's own
    /// address is accepted as well.
    package var verifyHostname: String?

    /// Paths of PEM files; all may be left out.
    package init(
        trustRootsFile: String? = nil, certificateChainFile: String? = nil, privateKeyFile: String? = nil,
        verifyHostname: String? = nil
    ) {
        self.trustRootsFile = trustRootsFile
        self.certificateChainFile = certificateChainFile
        self.privateKeyFile = privateKeyFile
        self.verifyHostname = verifyHostname
    }

    func makeContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = forwardSecretSuites
        configuration.applicationProtocols = ["h2"]
        if let trustRootsFile { configuration.trustRoots = .file(trustRootsFile) }
        return try reading([trustRootsFile, certificateChainFile, privateKeyFile]) {
            if let certificateChainFile {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificateChainFile).map { .certificate($0) }
            }
            if let privateKeyFile {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: privateKeyFile, format: .pem))
            }
            return try NIOSSLContext(configuration: configuration)
        }
    }
}
