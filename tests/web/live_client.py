"""A page's end of a live socket, spoken frame by frame so that tests can also misspeak."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import websocket
from live_lab import ORIGIN, SignedIn

HANDSHAKE = "/socket.io/?EIO=4&transport=websocket"
COOKIE = "telepsych-session"
PACKET = re.compile(r"4([0-6])(\d*)(.*)", re.DOTALL)


def upgrade(
    port: int, who: SignedIn | None, *, origin: str | None = ORIGIN, path: str = HANDSHAKE, **more: Any
) -> websocket.WebSocket:
    """Open a WebSocket as a browser would; `origin=None` leaves the header out."""
    cookie = {"cookie": f"{COOKIE}={who.token}"} if who else {}
    origins = {"suppress_origin": True} if origin is None else {"origin": origin}
    return websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=10, **cookie, **origins, **more)


class Page:
    """One page with a socket."""

    def __init__(self, port: int, who: SignedIn, ticket: str | None = None) -> None:
        self.events: list[tuple[str, Any]] = []
        self.closed = False
        self._asked = 0
        self.ws = upgrade(port, who)
        assert self.ws.recv().startswith("0{")
        self.answer = self._show(who.ticket() if ticket is None else ticket)

    def _show(self, ticket: str) -> dict[str, Any]:
        self.ws.send("40" + json.dumps({"ticket": ticket}))
        kind, _, body = self._packet()
        assert kind in "04"
        self.let_in = kind == "0"
        return dict(json.loads(body))

    def emit(self, name: str, *data: Any) -> dict[str, Any]:
        """Send an event and wait for its answer."""
        self._asked += 1
        self.ws.send(f"42{self._asked}{json.dumps([name, *data])}")
        while True:
            kind, number, body = self._packet()
            if kind == "3" and number == str(self._asked):
                return dict(json.loads(body)[0])
            self._note(kind, body)

    def seen(self, who: SignedIn) -> list[str]:
        """What this page's process saw of a person: `came` and `went`."""
        return list(self.emit("lab:seen", {"person": str(who.person)})["seen"])

    def hear(self, until: Callable[["Page"], bool], seconds: float = 60.0) -> float:
        """Listen until a condition holds, and return how long it took. Fails when it does not come true in time."""
        start = time.monotonic()
        while not until(self):
            left = start + seconds - time.monotonic()
            assert left > 0, f"not within {seconds} s; heard {self.events}, closed {self.closed}"
            self._listen(left)
        return time.monotonic() - start

    def listen(self, seconds: float) -> None:
        """Listen for a while."""
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self._listen(end - time.monotonic())

    def named(self, name: str) -> list[Any]:
        """The data of the events heard under a name."""
        return [data for event, data in self.events if event == name]

    def close(self) -> None:
        self.ws.close(timeout=1)

    def _listen(self, seconds: float) -> None:
        self.ws.settimeout(max(seconds, 0.01))
        try:
            kind, _, body = self._packet()
            self._note(kind, body)
        except websocket.WebSocketTimeoutException:
            pass
        except (websocket.WebSocketException, OSError):
            self.closed = True
        finally:
            self.ws.settimeout(10)

    def _note(self, kind: str, body: str) -> None:
        if kind == "2":
            name, *data = json.loads(body)
            self.events.append((name, data[0] if data else None))

    def _packet(self) -> tuple[str, str, str]:
        while True:
            frame = self.ws.recv()
            if frame == "2":
                self.ws.send("3")
                continue
            if frame in ("", "1"):
                raise websocket.WebSocketConnectionClosedException
            found = PACKET.fullmatch(frame)
            assert found, frame
            return found[1], found[2], found[3]
