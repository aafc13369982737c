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
    /// If set, all of it is as these files were when they were last read; the paths above are not used.
    package var files: TLSFiles?

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

    /// The client's side of a process whose files may change.
    package init(_ files: TLSFiles) { self.files = files }

    /// Whether the certificate of a service must name its role.
    var namesRoles: Bool { files?.namesRoles ?? false }

    func makeContext() throws -> NIOSSLContext {
        if let files { return files.client }
        var configuration = Self.configuration(trustRootsFile)
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

    /// The configuration of a client that shows `pair`.
    static func configuration(_ trustRootsFile: String?, _ pair: TLSPair? = nil) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = forwardSecretSuites
        configuration.applicationProtocols = ["h2"]
        if let trustRootsFile { configuration.trustRoots = .file(trustRootsFile) }
        if let pair {
            configuration.certificateChain = pair.chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(pair.key)
        }
        return configuration
    }
}
