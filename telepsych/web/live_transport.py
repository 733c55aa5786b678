"""WebSockets with bounds: how large a message, how many waiting, how fast, how long silent, and never compressed.

The library bounds none of these. One compressed frame of 194 KB took 400 MB; a message sent in parts, or many messages
sent faster than they are handled, would grow without end.
"""

import time
from typing import Any

import simple_websocket
from wsproto.frame_protocol import CloseReason

from telepsych.web.live_packets import LARGEST, is_frame_of_ours

MOST_WAITING = 256
"""Frames read and not yet handled; more is a flood."""
BURST, PER_SECOND = 300, 60.0
"""Frames of one connection: a three-party visit starts with about a hundred at once."""
SILENCE = 20.0
"""Seconds: longer than the ping interval and its timeout together, in which a live page must have answered."""


class Bucket:
    """A rate: `burst` at once, refilled by `per_second`."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._left, self._at = burst, time.monotonic()

    def take(self) -> bool:
        """Take one, if there is one."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class BoundedServer(simple_websocket.Server):  # type: ignore[misc]
    """The server end of one WebSocket, within bounds."""

    def __init__(self, environ: dict[str, Any], **parts: Any) -> None:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        super().__init__(environ, max_message_size=LARGEST, **parts)

    def handshake(self) -> None:
        self.sock.settimeout(SILENCE)
        super().handshake()

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close, and wake whoever waits for a frame: the other end may never answer."""
        try:
            super().close(reason, message)
        except OSError:
            self.connected = False
        finally:
            self.event.set()

    def _handle_events(self) -> bool:
        going = bool(super()._handle_events())
        if len(self.input_buffer) > MOST_WAITING:
            self.event.set()
            return False
        return going

    def _thread(self) -> None:
        try:
            super()._thread()
        finally:  # whoever waits for a frame must learn of the end, however it came
            self.connected = False
            self.event.set()


class LiveWebSocket:
    """What Engine.IO asks of a WebSocket: `wait`, `send` and `close`."""

    parts: dict[str, Any] = {}

    def __init__(self, handler: Any, _server: Any) -> None:
        self._handler = handler
        self._frames = Bucket(BURST, PER_SECOND)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.ws = BoundedServer(environ, **self.parts)
        answer = self._handler(self)
        if self.ws.mode == "gunicorn":
            raise StopIteration  # tells gunicorn that the connection was taken over
        if self.ws.mode == "werkzeug":
            raise ConnectionError
        return answer

    def wait(self) -> str | None:
        """The next frame; None when the connection is over or the frame is not one we take."""
        try:
            frame = self.ws.receive()
        except simple_websocket.ConnectionClosed:
            return None
        if frame is not None and is_frame_of_ours(frame) and self._frames.take():
            return str(frame)
        self.close(CloseReason.POLICY_VIOLATION)
        return None

    def send(self, message: str) -> None:
        """Send a frame. Raises OSError when the connection is over."""
        try:
            self.ws.send(message)
        except simple_websocket.ConnectionClosed:
            raise OSError from None

    def close(self, reason: int | None = None) -> None:
        """Close, if open."""
        if self.ws.connected:
            self.ws.close(reason)


def transport(async_mode: str) -> type[LiveWebSocket]:
    """The WebSocket for this kind of worker: `gevent` or `threading`."""
    if async_mode != "gevent":
        return LiveWebSocket
    import gevent.event
    import gevent.selectors
    from engineio.async_drivers.gevent import Thread

    green = {
        "thread_class": Thread,
        "event_class": gevent.event.Event,
        "selector_class": gevent.selectors.DefaultSelector,
    }
    return type("GreenWebSocket", (LiveWebSocket,), {"parts": green})
