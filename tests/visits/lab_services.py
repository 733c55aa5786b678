"""A relay for the call lab."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"call-lab-one"


class Relay:
    """A coturn of our own on the loopback interface, which can be killed and come back on the same port."""

    def __init__(self, folder: Path) -> None:
        self.secret = "the lab's turn secret"
        self.port = _free_port()
        self.config = folder / "turnserver.conf"
        self.config.write_text(self._settings(folder), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> list[str]:
        return [f"turn:127.0.0.1:{self.port}?transport=udp"]

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/turnserver", "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_for_answer()

    def kill(self) -> None:
        """End it at once, without a word to anybody."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _settings(self, folder: Path) -> str:
        return "\n".join(
            [
                "listening-ip=127.0.0.1",
                "relay-ip=127.0.0.1",
                f"listening-port={self.port}",
                "realm=lab.example.org",
                "use-auth-secret",
                f"static-auth-secret={self.secret}",
                "allow-loopback-peers",
                "no-cli",
                "no-tls",
                "no-dtls",
                "no-tcp-relay",
                "no-multicast-peers",
                "simple-log",
                f"log-file={folder / 'turn.log'}",
                f"pidfile={folder / 'turn.pid'}",
                f"userdb={folder / 'turn.sqlite'}",
            ]
        )

    def _wait_for_answer(self) -> None:
        """Until it answers a STUN binding request."""
        deadline = time.monotonic() + 60
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            while time.monotonic() < deadline:
                probe.sendto(BINDING_REQUEST, ("127.0.0.1", self.port))
                try:
                    probe.recv(2048)
                    return
                except OSError:
                    continue
        raise TimeoutError("coturn does not answer")


@contextmanager
def running_relay(folder: Path) -> Iterator[Relay]:
    relay = Relay(folder)
    relay.start()
    try:
        yield relay
    finally:
        relay.kill()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
