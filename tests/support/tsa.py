"""A time-stamp authority on the loopback address, made with `openssl ts`."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIG = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamp]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
"""


@dataclass(frozen=True)
class Authority:
    """Where it is and whom to believe."""

    address: str
    roots: Path


@contextmanager
def authority(folder: Path) -> Iterator[Authority]:
    """Serve time stamps until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    _make_certificates(folder)

    class Stamping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["Content-Length"]))
            answer = _stamp(folder, question)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stamping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Authority(f"http://127.0.0.1:{server.server_address[1]}/", folder / "ca.pem")
    finally:
        server.shutdown()
        server.server_close()


def _stamp(folder: Path, question: bytes) -> bytes:
    (folder / "question").write_bytes(question)
    signing = ["-config", folder / "tsa.cnf", "-signer", folder / "tsa.pem", "-inkey", folder / "tsa.key"]
    _openssl("ts", "-reply", *signing, "-queryfile", folder / "question", "-out", folder / "answer")
    return (folder / "answer").read_bytes()


def _make_certificates(folder: Path) -> None:
    for who in ("ca", "tsa"):
        (folder / f"{who}.cnf").write_text(CONFIG.format(name=who, folder=folder), encoding="utf-8")
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / f"{who}.key")
    (folder / "serial").write_text("01\n", encoding="utf-8")
    ca = ["-key", folder / "ca.key", "-config", folder / "ca.cnf", "-extensions", "ca", "-days", "30"]
    _openssl("req", "-x509", "-new", *ca, "-out", folder / "ca.pem")
    _openssl("req", "-new", "-key", folder / "tsa.key", "-config", folder / "tsa.cnf", "-out", folder / "tsa.csr")
    by_ca = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "30"]
    more = ["-extfile", folder / "tsa.cnf", "-extensions", "stamp"]
    _openssl("x509", "-req", "-in", folder / "tsa.csr", *by_ca, *more, "-out", folder / "tsa.pem")


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
