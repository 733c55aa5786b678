"""The live group's door: Socket.IO over WebSocket only, carrying hints, presence and call signalling.

The database is the only truth; a socket that dies loses nothing. A socket is let in with one of our origins, an open
session's cookie and a one-time ticket of that same session, joins two rooms the server names (its person, its session)
and is put out within seconds once the session ends, with or without news of it.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, request
from flask_socketio import SocketIO
from socketio.exceptions import ConnectionRefusedError as NotLetIn

from telepsych.audit import service as audit
from telepsych.core.actor import Actor
from telepsych.core.errors import Refused, SignInNeeded, TelepsychError, Unavailable
from telepsych.core.words import gettext
from telepsych.core.work import News, Practice, Work
from telepsych.web import headers, live_events
from telepsych.web.bus import listener_for
from telepsych.web.doors import NOBODY, Web, attach, cookie_name, public
from telepsych.web.floods import Crowd
from telepsych.web.live_events import (
    Caller,
    Sockets,
    answer_event,
    event,
    events,
    note_defect,
    on_connect,
    on_disconnect,
    on_news,
    problem,
)
from telepsych.web.live_gate import SESSION, Gate
from telepsych.web.live_packets import LARGEST, PlainPacket
from telepsych.web.live_sessions import EpochsOf, actor_of, closed_among, epochs_one_by_one, open_session
from telepsych.web.live_ticket import is_good, page_origins, use_ticket
from telepsych.web.live_transport import transport
from telepsych.web.live_writing import Writer
from telepsych.web.sessions import Standing

__all__ = [
    "HINTS",
    "Caller",
    "Live",
    "Sockets",
    "create_live",
    "emit_to",
    "event",
    "events",
    "on_connect",
    "on_disconnect",
    "on_news",
]

log = logging.getLogger("telepsych.live")

T = TypeVar("T")
HINTS = frozenset({"conversation:news", "queue:news", "visit:news"})
"""News that is passed on to people's pages as it is."""
SWEEP = 2.5
"""Seconds between looks at all sessions with sockets."""
EVENTS_A_SECOND = 60
"""Of one person, on all their sockets in this process, over a while."""
PATIENCE = 10.0
"""Seconds that a connection may take to show its ticket."""
MOST_UNSENT = 100
"""Packets waiting for a page that does not read."""
REFUSALS_EVERY = 10.0
"""Seconds between audit entries for the same refusal of the same session."""


class Live:
    """This process's sockets."""

    def __init__(
        self, web: Web, socketio: SocketIO, origins: Callable[[], Iterable[str]], epochs: EpochsOf, async_mode: str
    ) -> None:
        self.web = web
        self.practice: Practice = web.practice
        self.origins = origins
        self._socketio = socketio
        self._epochs = epochs
        self._writer = Writer(web.practice, async_mode)
        self._callers: dict[str, Caller] = {}
        self._strangers: dict[str, float] = {}
        self._refusals: dict[tuple[UUID, str], float] = {}
        self._knocks = Crowd(self.practice.settings.handshakes_by_address)
        self._people = Crowd(EVENTS_A_SECOND)
        self._starting = threading.Lock()
        self._awake = False

    # The gate

    def session_of(self, token: str) -> UUID | None:
        """The open session a cookie names."""
        return open_session(self.web, token)

    def may_knock(self, address: str) -> bool:
        """Whether this address may open another socket now."""
        return self._knocks.take(address)

    def wake_up(self) -> None:
        """Start listening and sweeping, once in each process, before its first socket."""
        with self._starting:
            if self._awake:
                return
            self._awake = True
            listener = listener_for(self.practice.records, self._socketio.sleep)
            try:
                listener.open()
            except Exception as error:
                log.warning("news: %s", type(error).__name__)
            self._socketio.start_background_task(self._listen, listener)
            self._socketio.start_background_task(self._keep_sweeping)

    # Coming and going

    def let_in(self, sid: str, session_id: UUID, ticket: object) -> None:
        """Let a socket in. Raises `NotLetIn` with a structured answer."""
        try:
            actor = self._check_ticket(session_id, ticket)
        except TelepsychError as error:
            self._close_soon(sid)
            raise NotLetIn(error.sentence, problem(error)) from None
        caller = Caller(sid, session_id, actor, self)
        self._callers[sid] = caller
        for room in (str(actor.id), f"session:{session_id}"):
            self._socketio.server.enter_room(sid, room, namespace="/")
        _run_hooks(live_events.joined, caller)

    def _check_ticket(self, session_id: UUID, ticket: object) -> Actor:
        shown = ticket if isinstance(ticket, str) and len(ticket) <= 64 else ""
        with self.practice.begin(NOBODY, writes=False, public="live") as work:
            actor = actor_of(work, self.web, session_id)
            good = is_good(work, shown, session_id)
        if isinstance(actor, Standing):
            raise SignInNeeded
        if not good or not self.write(actor, lambda work: use_ticket(work, shown, session_id), public="live-ticket"):
            self._note_refusal(actor, session_id, "live:ticket", "no good ticket")
            raise Refused(gettext("This page lost its live connection. Please reload it."))
        return actor

    def gone(self, sid: str) -> None:
        """A socket has left or was put out."""
        caller = self._callers.pop(sid, None)
        if caller is not None:
            caller.ended = True
            _run_hooks(live_events.left, caller)

    def put_out(self, caller: Caller, worth: Standing) -> None:
        """Tell a page that it is signed out, and close its socket."""
        if caller.ended:
            return
        caller.ended = True
        server = self._socketio.server
        connection = server.manager.eio_sid_from_sid(caller.sid, "/")
        self._socketio.emit("signed-out", {"locked": worth is Standing.LOCKED}, to=caller.sid)
        server.disconnect(caller.sid, namespace="/")
        self._close(connection)

    def _close(self, connection: str | None) -> None:
        """Close a transport after what was already said to it, without waiting for the other end."""
        socket = self._socketio.server.eio.sockets.get(connection)
        if socket is not None:
            socket.close(wait=False)

    def _close_soon(self, sid: str) -> None:
        connection = self._socketio.server.manager.eio_sid_from_sid(sid, "/")

        def close() -> None:
            self._socketio.sleep(0.2)
            self._close(connection)

        self._socketio.start_background_task(close)

    # Events

    def answer(self, sid: str, name: str, data: tuple[Any, ...]) -> dict[str, Any]:
        """Answer an event of a page."""
        caller = self._callers.get(sid)
        return problem(SignInNeeded()) if caller is None else answer_event(caller, name, data)

    def may_speak(self, caller: Caller) -> bool:
        """Whether this person, on all sockets together, may send another event now."""
        return self._people.take(str(caller.person_id))

    def actor_now(self, caller: Caller) -> Actor:
        """The caller's actor as of now. Raises `SignInNeeded`, and puts the socket out, when the session is over."""
        with self.practice.begin(NOBODY, writes=False, public="live") as work:
            actor = actor_of(work, self.web, caller.session_id)
        if isinstance(actor, Standing):
            self._socketio.start_background_task(self.put_out, caller, actor)
            raise SignInNeeded
        return actor

    def write(self, actor: Actor, act: Callable[[Work], T], public: str = "") -> T:
        """Write transport rows in a unit of its own, where a slow disk stops nobody."""
        return self._writer.unit(actor, act, public)

    def note_refusal(self, caller: Caller, about: str, reason: str) -> None:
        """Leave an audit entry for what a page was refused, not more than one in a while for the same."""
        self._note_refusal(caller.actor, caller.session_id, about, reason)

    def _note_refusal(self, actor: Actor, session_id: UUID, about: str, reason: str) -> None:
        now = time.monotonic()
        if now - self._refusals.get((session_id, about), -REFUSALS_EVERY) < REFUSALS_EVERY:
            return
        self._refusals[session_id, about] = now
        self._socketio.start_background_task(self._record_refusal, actor, about, reason)

    def _record_refusal(self, actor: Actor, about: str, reason: str) -> None:
        try:
            self._writer.call(lambda practice: audit.refused(practice, actor, "refused", about, "", reason))
        except Unavailable:
            log.error("refusal not recorded: %s", about)

    # News

    def emit_to(self, people: Collection[UUID], name: str, data: Mapping[str, Any]) -> None:
        """Say something to these people's sockets in this process."""
        for person in people:
            self._say(str(person), name, data)

    def emit_to_sockets(self, sids: Collection[str], name: str, data: Mapping[str, Any]) -> None:
        """Say something to single sockets of this process, by the ids that `Caller` has."""
        for sid in sids:
            if sid in self._callers:
                self._say(sid, name, data)

    def _say(self, room: str, name: str, data: Mapping[str, Any]) -> None:
        for _, connection in list(self._socketio.server.manager.get_participants("/", room)):
            self._drop_if_deaf(connection)
        self._socketio.emit(name, dict(data), to=room)

    def _drop_if_deaf(self, connection: str) -> None:
        """Give up a page that does not read, with everything still unsent to it."""
        engine = self._socketio.server.eio
        socket = engine.sockets.get(connection)
        if socket is None or socket.queue.qsize() <= MOST_UNSENT:
            return
        with suppress(engine.get_queue_empty_exception()):
            while True:
                socket.queue.get(block=False)
                socket.queue.task_done()
        self._close(connection)

    def people_here(self, people: Collection[UUID]) -> frozenset[UUID]:
        """Which of these people have a socket in this process."""
        here = {caller.person_id for caller in list(self._callers.values())}
        return frozenset(here.intersection(people))

    def deliver(self, news: News) -> None:
        """Bring news from the bus to the sockets of this process."""
        courier = live_events.couriers.get(news.name)
        if courier is not None:
            courier(self, news)
        elif news.name == "signed-out":
            self._put_out_session(str(news.ids.get("session", "")))
        elif news.name in HINTS:
            self.emit_to(news.people, news.name, news.ids)

    def _put_out_session(self, session_id: str) -> None:
        for caller in list(self._callers.values()):
            if str(caller.session_id) == session_id:
                self.put_out(caller, Standing.ENDED)

    def _listen(self, listener: Any) -> None:
        for news in listener.news():
            try:
                self.deliver(news)
            except Exception as error:
                note_defect("news", error)

    # The sweep

    def _keep_sweeping(self) -> None:
        while True:
            self._socketio.sleep(SWEEP)
            try:
                self.sweep()
            except Unavailable:
                log.warning("sweep: no database")
            except Exception as error:
                note_defect("sweep", error)

    def sweep(self) -> None:
        """Put out sockets whose session is over, strangers who show no ticket, and pages that stopped reading."""
        self._drop_strangers()
        callers = list(self._callers.values())
        if not callers:
            return
        closed = closed_among(self.web, self._epochs, {caller.session_id for caller in callers})
        for caller in callers:
            if caller.session_id in closed:
                self.put_out(caller, closed[caller.session_id])

    def _drop_strangers(self) -> None:
        server, now = self._socketio.server, time.monotonic()
        known = {server.manager.eio_sid_from_sid(sid, "/") for sid in list(self._callers)}
        waiting = {one: self._strangers.get(one, now) for one in list(server.eio.sockets) if one not in known}
        self._strangers = waiting
        for connection, since in waiting.items():
            if now - since > PATIENCE:
                self._close(connection)
        for connection in list(server.eio.sockets):
            self._drop_if_deaf(connection)
        self._refusals = {key: at for key, at in list(self._refusals.items()) if now - at < REFUSALS_EVERY}


def create_live(
    practice: Practice,
    web: Web,
    *,
    async_mode: str = "gevent",
    origins: Callable[[], Iterable[str]] | None = None,
    epochs: EpochsOf | None = None,
) -> tuple[Flask, SocketIO]:
    """The live group's app: Socket.IO and `/healthz`. `async_mode` is `gevent`, or `threading` for debugging.

    `origins` names the origins whose pages may connect (by default the one set, or loopback); `epochs` asks for many
    people's epochs in one query.
    """
    app = Flask("telepsych.live", static_folder=None, template_folder=None)
    attach(app, web)
    headers.protect(app, "")
    socketio = _socketio(app, async_mode)
    allowed = origins or (lambda: page_origins(practice.settings))
    live = Live(web, socketio, allowed, epochs or epochs_one_by_one(web), async_mode)
    app.extensions["telepsych-live"] = live
    _bind(socketio, live)
    with app.app_context():
        app.wsgi_app = Gate(app.wsgi_app, live, cookie_name(), practice.settings.trusted_proxies)  # type: ignore[method-assign]

    @app.get("/healthz")
    @public("health")
    def healthz() -> str:
        return "ok"

    return app, socketio


def emit_to(people: Collection[UUID], name: str, data: Mapping[str, Any]) -> None:
    """Say something to these people's sockets in this process, from within an event's handler."""
    cast(Live, current_app.extensions["telepsych-live"]).emit_to(people, name, data)


def _socketio(app: Flask, async_mode: str) -> SocketIO:
    socketio = SocketIO(
        app,
        async_mode=async_mode,
        async_handlers=False,
        transports=["websocket"],
        allow_upgrades=False,
        manage_session=False,
        serializer=PlainPacket,
        ping_interval=10,
        ping_timeout=8,
        max_http_buffer_size=LARGEST,
        http_compression=False,
        cors_allowed_origins=[],  # the gate decides, before anything is parsed
    )
    engine = socketio.server.eio
    engine._async = {**engine._async, "websocket": transport(async_mode)}
    return socketio


def _bind(socketio: SocketIO, live: Live) -> None:
    def connect(auth: object) -> None:
        ticket = auth.get("ticket") if isinstance(auth, dict) else None
        live.let_in(_sid(), request.environ[SESSION], ticket)

    def disconnect(_reason: object = None) -> None:
        live.gone(_sid())

    def anything(name: str, *data: Any) -> dict[str, Any]:
        return live.answer(_sid(), name, data)

    for name, handler in {"connect": connect, "disconnect": disconnect, "*": anything}.items():
        socketio.on_event(name, handler)

    server = socketio.server

    def take(connection: str, data: object) -> None:
        """Take one message; one that provokes an error ends its connection, and the log learns only its kind."""
        try:
            server._handle_eio_message(connection, data)
        except Exception as error:
            log.info("connection closed: %s", type(error).__name__)
            live._close(connection)

    server.eio.on("message", take)


def _sid() -> str:
    return str(cast(Any, request).sid)


def _run_hooks(hooks: Iterable[Callable[[Caller], None]], caller: Caller) -> None:
    for hook in hooks:
        try:
            hook(caller)
        except Exception as error:
            note_defect("a hook of the live door", error)
