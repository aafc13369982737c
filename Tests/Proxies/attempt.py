"""What the tests of this folder share: their list, certificates, and connections that choose their address."""

import http.client
import os
import socket
import ssl
import subprocess
import time

ATTEMPTS = []


def attempt(body):
    """Adds a test; it gets a folder of its own."""
    ATTEMPTS.append(body)
    return body


def until(what, condition, seconds=30):
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = condition()
        except OSError:
            value = None
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(what)


class Authority:
    """An authority, and certificates that it signs, as NAME.pem and NAME.key."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.roots = self.path(name + ".pem")
        self._make("req", *self._key(name), "-x509", "-days", "2", "-subj", "/CN=" + name, "-out", self.roots)

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, *names, days=2):
        """For 127.0.0.1 and more DNS names; -1 day is a certificate that ended yesterday."""
        extension = ",".join(["IP:127.0.0.1", "DNS:localhost", *("DNS:" + more for more in names)])
        request = self.path(name + ".csr")
        self._make("req", *self._key(name), "-new", "-subj", "/CN=" + name, "-addext", "subjectAltName=" + extension,
                   "-addext", "basicConstraints=critical,CA:FALSE", "-out", request)
        self._make("x509", "-req", "-in", request, "-CA", self.roots, "-CAkey", self.path(self.name + ".key"), "-CAcreateserial",
                   "-days", str(days), "-copy_extensions", "copy", "-out", self.path(name + ".pem"))

    def settings(self, name, **more):
        """The environment of a service."""
        return {"SLUICE_TLS_CERT": self.path(name + ".pem"), "SLUICE_TLS_KEY": self.path(name + ".key"), "SLUICE_TLS_CA": self.roots, **more}

    def replace(self, name, by, endings=("pem", "key")):
        """Puts the files of one certificate in the place of those of another, as a program that renews certificates does."""
        for ending in endings:
            new = self.path(f"{name}.{ending}.new")
            with open(self.path(f"{by}.{ending}"), "rb") as source, open(new, "wb") as target:
                target.write(source.read())
            os.replace(new, self.path(f"{name}.{ending}"))

    def client(self):
        return ssl.create_default_context(cafile=self.roots)

    def _key(self, name):
        return ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", self.path(name + ".key")]

    @staticmethod
    def _make(*arguments):
        made = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
        if made.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {made.stderr}")


def s_client(port, *options):
    """What `openssl s_client` says."""
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=30).stdout.decode(errors="replace")


def shown(port):
    """The name in the certificate that a port shows."""
    for line in s_client(port).splitlines():
        if line.startswith("subject="):
            return line.split("=")[-1].strip()
    return None


class Connection(http.client.HTTPConnection):
    """A connection from an address of 127.0.0.0/8 to a port of this machine, which is called by `name`; TLS if there is a context."""

    def __init__(self, port, name="localhost", source="127.0.0.1", context=None, timeout=30):
        super().__init__(name, port, timeout=timeout)
        self._source, self._context = source, context

    def connect(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout, (self._source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and bytes."""
        self.request(method, path, body, headers or {})
        answer = self.getresponse()
        return answer.status, answer.headers, answer.read()
