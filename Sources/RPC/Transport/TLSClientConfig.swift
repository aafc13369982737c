import NIOSSL

/// A client's side of TLS: the server is always verified, by name or address.
package struct TLSClientConfig: Sendable {
    /// Roots to trust instead of the system's.
    package var trustRootsFile: String?
    /// Our own certificate, if the server asks for one.
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
