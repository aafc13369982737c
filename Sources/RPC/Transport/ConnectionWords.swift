import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// Why a connection or its TLS failed, in words. Most errors of the libraries below have only Swift's default description.
package func connectionWords(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
        let causes = [error.dnsAError, error.dnsAAAAError].compactMap(\.self) + error.connectionErrors.map(\.error)
        let words = Set(causes.map(connectionWords)).sorted()
        return words.isEmpty ? "no connection could be made" : words.joined(separator: ", ")
    case let error as IOError: return unsafe String(cString: strerror(error.errnoCode))
    case is SocketAddressError.UnknownHost: return "no address is known for this name"
    case let error as NIOSSLError: return tlsWords(error)
    case let error as BoringSSLError: return tlsWords(error)
    case is CancellationError: return "cancelled"
    default: return "\(error)"
    }
}

private func tlsWords(_ error: NIOSSLError) -> String {
    switch error {
    case .noSuchFilesystemObject: "a file of certificates or a key does not exist"
    case .failedToLoadCertificate: "a file has no certificate that can be read"
    case .failedToLoadPrivateKey: "a file has no key that can be read"
    case .handshakeFailed(let cause): "the TLS handshake failed: \(tlsWords(cause))"
    case .uncleanShutdown: "the peer ended the connection without ending TLS"
    case .noCertificateToValidate, .unableToValidateCertificate: "the certificate can't be validated"
    default: "TLS failed"
    }
}

/// Such as "certificate verify failed", from "error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at FILE:LINE".
private func tlsWords(_ error: BoringSSLError) -> String {
    switch error {
    case .sslError(let stack), .unknownError(let stack), .invalidSNIName(let stack), .failedToSetALPN(let stack):
        let causes = stack.map { cause -> String in
            let text = cause.description.split(separator: " at ").first.map(String.init) ?? ""
            return (text.split(separator: ":").last.map(String.init) ?? text).replacing("_", with: " ").lowercased()
        }
        return causes.isEmpty ? "an error of TLS" : causes.joined(separator: ", ")
    default: return "the connection ended"
    }
}
