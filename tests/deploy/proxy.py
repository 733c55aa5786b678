"""The shipped nginx configuration in front of the pages, on ports of a test's own."""

import json
import os
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.postgres import wait_until

from telepsych.core.settings import Settings
from telepsych.server.commands import prepare
from telepsych.server.groups import http_command

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "config/deploy/nginx.conf"
NAME = "visits.example.org"
CERTIFICATE = "/etc/letsencrypt/live/visits.example.org"
QUIET = 3.0
"""Seconds for which a bent request is waited for: some leave both servers waiting for more."""


@dataclass
class Proxy:
    """A running nginx with the pages behind it."""

    port: int
    plain_port: int
    notes: Path
    log: Path
    """What nginx says it was asked."""
    heard: list[str]
    """The heads of requests that reached the sockets."""

    def says(self, raw: bytes, wait: float = 60.0) -> bytes:
        """What comes back for these bytes until the other end closes or is silent for `wait` seconds."""
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        trust.set_alpn_protocols(["http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", self.port), 30) as wire,
            trust.wrap_socket(wire, server_hostname=NAME) as talk,
        ):
            talk.sendall(raw)
            return _all_of(talk, wait)

    def says_plain(self, raw: bytes) -> bytes:
        """The same on the port without TLS."""
        with socket.create_connection(("127.0.0.1", self.plain_port), 30) as wire:
            wire.sendall(raw)
            return _all_of(wire, 60.0)

    def asked(self) -> list[str]:
        """Every request as nginx understood it: method and path."""
        words = [line.split(" ") for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [f"{one[2]} {one[3]}" for one in words]

    def reached(self) -> list[dict[str, Any]]:
        """Every request that the pages got, oldest first."""
        if not self.notes.exists():
            return []
        return [json.loads(line) for line in self.notes.read_text(encoding="utf-8").splitlines()]


def _all_of(talk: socket.socket, wait: float) -> bytes:
    found = b""
    talk.settimeout(wait)
    with suppress(OSError):
        while part := talk.recv(65_536):
            found += part
    return found


@contextmanager
def proxied(folder: Path) -> Iterator[Proxy]:
    """Run nginx and the http group until the block ends."""
    port, plain_port, pages = (free_port() for _ in range(3))
    notes, heard = folder / "notes", list[str]()
    with _pages(folder, notes, pages), _sockets(heard) as sockets, _nginx(folder, port, plain_port, pages, sockets):
        yield Proxy(port, plain_port, notes, folder / "access.log", heard)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@contextmanager
def _pages(folder: Path, notes: Path, port: int) -> Iterator[None]:
    settings = Settings(data=folder / "data", origin=f"https://{NAME}")
    prepare(settings)
    door = socket.create_server(("127.0.0.1", port))
    command = [
        *http_command(settings, door.fileno(), "recorded_app:app()"),
        "--pythonpath",
        f"{HERE},{HERE.parents[1]}",
    ]
    mine = {"TELEPSYCH_DATA": str(settings.data), "TELEPSYCH_ORIGIN": settings.origin, "RECORDED": str(notes)}
    process = subprocess.Popen(command, env=os.environ | mine, cwd=folder, pass_fds=[door.fileno()])
    door.close()
    try:
        wait_until(lambda: answers(port), 60)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _sockets(heard: list[str]) -> Iterator[int]:
    """In place of the live group: somebody who notes what a handshake looks like and refuses it."""

    class Listener(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            heard.append(head.decode("latin-1"))
            self.wfile.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def _nginx(folder: Path, port: int, plain_port: int, pages: int, sockets: int) -> Iterator[None]:
    _certificate(folder)
    (folder / "telepsych.conf").write_text(_adapted(folder, port, plain_port, pages, sockets), encoding="utf-8")
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f" events {{}} http {{ include {folder}/telepsych.conf; }}",
        encoding="utf-8",
    )
    program = next(place for place in ("/usr/sbin/nginx", "/usr/bin/nginx") if Path(place).exists())
    process = subprocess.Popen([program, "-e", folder / "error.log", "-p", folder, "-c", folder / "nginx.conf"])
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 60)
        assert process.poll() is None, (folder / "error.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def _adapted(folder: Path, port: int, plain_port: int, pages: int, sockets: int) -> str:
    """The shipped file with this machine's ports, certificate and log, and nothing else changed."""
    text = SHIPPED.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "listen [::]" not in line]
    changes = {
        "listen 80 ": f"listen 127.0.0.1:{plain_port} ",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "127.0.0.1:8000": f"127.0.0.1:{pages}",
        "127.0.0.1:8001": f"127.0.0.1:{sockets}",
        f"{CERTIFICATE}/fullchain.pem": str(folder / "certificate.pem"),
        f"{CERTIFICATE}/privkey.pem": str(folder / "key.pem"),
        "/var/log/nginx/telepsych.log": str(folder / "access.log"),
    }
    adapted = "\n".join(lines)
    for shipped, ours in changes.items():
        assert shipped in adapted, shipped
        adapted = adapted.replace(shipped, ours)
    return adapted


def _certificate(folder: Path) -> None:
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    wanted = [*kind, "-days", "2", "-subj", f"/CN={NAME}"]
    places = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem"]
    subprocess.run(["openssl", "req", *wanted, *places], check=True, capture_output=True)


def answers(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False
