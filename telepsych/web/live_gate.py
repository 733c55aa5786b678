"""The live group's outer gate: a WebSocket handshake from one of our own pages, by somebody signed in, or nothing.

A browser sends cookies with any site's WebSocket handshake, so the page's origin decides; the library would let a
handshake without one pass.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs
from uuid import UUID

from werkzeug.http import parse_cookie

from telepsych.core.errors import TelepsychError
from telepsych.web.addresses import address_behind

Environ = dict[str, Any]
Inner = Callable[[Environ, Any], Iterable[bytes]]
SESSION = "telepsych.session"
"""Where the handshake's environment holds the id of the session it came with."""
PATH = "/socket.io"
MOST_SOCKETS = 16
"""Of one session: tabs, and connections on their way out."""


class Doorkeeper(Protocol):
    """What the gate asks the live group."""

    def origins(self) -> Iterable[str]: ...
    def may_knock(self, address: str) -> bool: ...
    def session_of(self, token: str) -> UUID | None: ...
    def wake_up(self) -> None: ...


class Gate:
    """WSGI middleware in front of Socket.IO; other paths pass."""

    def __init__(self, inner: Inner, keeper: Doorkeeper, cookie: str, proxies: Collection[str] = ()) -> None:
        self._inner = inner
        self._proxies = proxies
        self._keeper = keeper
        self._cookie = cookie
        self._places: Counter[UUID] = Counter()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(PATH):
            return self._inner(environ, start_response)
        if not _is_handshake(environ):
            return refuse(start_response, HTTPStatus.BAD_REQUEST)
        if environ.get("HTTP_ORIGIN") not in set(self._keeper.origins()):
            return refuse(start_response, HTTPStatus.FORBIDDEN)
        if not self._keeper.may_knock(self._address(environ)):
            return refuse(start_response, HTTPStatus.TOO_MANY_REQUESTS)
        return self._seat(environ, start_response)

    def _address(self, environ: Environ) -> str:
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        return address_behind(peer, forwarded, self._proxies)

    def _seat(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        token = parse_cookie(environ).get(self._cookie, "")
        try:
            session = self._keeper.session_of(token) if token else None
        except TelepsychError as error:
            return refuse(start_response, HTTPStatus(error.status))
        if session is None:
            return refuse(start_response, HTTPStatus.UNAUTHORIZED)
        if self._places[session] >= MOST_SOCKETS:
            return refuse(start_response, HTTPStatus.TOO_MANY_REQUESTS)
        self._keeper.wake_up()
        environ[SESSION] = session
        self._places[session] += 1
        try:  # a WebSocket stays inside this call for as long as it lives
            return self._inner(environ, start_response)
        finally:
            self._places[session] -= 1
            if self._places[session] <= 0:
                del self._places[session]


def refuse(start_response: Any, status: HTTPStatus) -> Iterable[bytes]:
    """Answer a handshake with a status and nothing else."""
    headers = [("Content-Type", "text/plain"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    start_response(f"{status.value} {status.phrase}", [*headers, ("Content-Length", "0")])
    return [b""]


def _is_handshake(environ: Environ) -> bool:
    asked = parse_qs(environ.get("QUERY_STRING", ""))
    return (
        environ.get("REQUEST_METHOD") == "GET"
        and environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        and asked.get("transport") == ["websocket"]
        and asked.get("EIO") == ["4"]
        and asked.keys() <= {"transport", "EIO", "t"}
    )
