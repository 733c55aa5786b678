"""The door from a request to a unit of work: who is asking, on which session, under which request id."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar, cast
from uuid import UUID

from flask import Flask, Response, current_app, g, request
from flask_login import LoginManager, UserMixin, current_user
from werkzeug import Response as WsgiResponse
from werkzeug.local import LocalProxy

from telepsych.core.actor import Actor, Role
from telepsych.core.errors import Refused, SignInNeeded
from telepsych.core.work import Practice, Work
from telepsych.web import sessions
from telepsych.web.careful_json import CarefulJson
from telepsych.web.models import SignInSession
from telepsych.web.sessions import Standing

P = ParamSpec("P")
R = TypeVar("R")
NOBODY = Actor(id=None, label="public")


class Identify(Protocol):
    """Turns a session row into the actor it stands for, with the roles and relations in force now."""

    def __call__(self, work: Work, row: SignInSession) -> Actor: ...


class EpochOf(Protocol):
    """A person's present epoch; every session of an earlier one is over."""

    def __call__(self, work: Work, row: SignInSession) -> int: ...


@dataclass
class Web:
    """What the web is given by `app.py`."""

    practice: Practice
    identify: Identify
    epoch_of: EpochOf


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is behind this request. `standing` is None without a known session."""

    actor: Actor
    row: SignInSession | None = None
    standing: Standing | None = None

    @property
    def is_signed_in(self) -> bool:
        return self.standing is Standing.OPEN


class SignedInPerson(UserMixin):  # type: ignore[misc]
    """What Flask-Login holds for a request: the session row's id, never a person's."""

    def __init__(self, who: Visitor) -> None:
        self.visitor = who

    def get_id(self) -> str:
        row = self.visitor.row
        return str(row.id) if row else ""


def attach(app: Flask, web: Web) -> None:
    """Give the app its practice, every request an id, and Flask-Login our session rows to ask."""
    app.extensions["telepsych"] = web
    app.json = CarefulJson(app)
    login = LoginManager()
    login.session_protection = None  # it binds a session to an address, and phones change theirs
    login.request_loader(lambda _request: SignedInPerson(visitor()) if visitor().is_signed_in else None)
    login.init_app(app, add_context_processor=False)

    @app.before_request
    def name_request() -> None:
        g.request_id = secrets.token_hex(8)

    @app.after_request
    def say_name(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        return response


def web() -> Web:
    """The web's own parts, of the current app."""
    return cast(Web, current_app.extensions["telepsych"])


practice: Practice = cast(Practice, LocalProxy(lambda: web().practice))


def cookie_name() -> str:
    """`__Host-` binds the cookie to this very host, which browsers allow over TLS only."""
    return "__Host-telepsych" if practice.settings.is_https else "telepsych-session"


def visitor() -> Visitor:
    """Who is asking; worked out once in a request."""
    if "visitor" not in g:
        g.visitor = _recognise()
    return cast(Visitor, g.visitor)


def forget_visitor() -> None:
    """Work out again who is asking, after signing in or out."""
    g.pop("visitor", None)
    g.pop("_login_user", None)


def stop_asking() -> None:
    """A database is away: for the rest of this request nobody is known, so that the apology can be shown without it."""
    g.visitor = Visitor(NOBODY)
    g.pop("_login_user", None)


def _recognise() -> Visitor:
    token = request.cookies.get(cookie_name(), "")
    if not token:
        return Visitor(NOBODY)
    parts = web()
    with practice.begin(NOBODY, writes=False, public="session") as work:
        row = sessions.find(work, token)
        if row is None:
            return Visitor(NOBODY)
        epoch = parts.epoch_of(work, row)
        now = sessions.standing(row, epoch, work.now, practice.settings)
        actor = parts.identify(work, row) if now is Standing.OPEN else NOBODY
    if now is Standing.ENDED:
        sessions.note_use_after_end(parts.practice, row, epoch)
    if now is Standing.OPEN and sessions.needs_touch(row, work.now) and counts_as_activity():
        with practice.begin(actor, public="session") as work:
            sessions.touch(work, row.id)
    return Visitor(actor, row, now)


def counts_as_activity() -> bool:
    """Whether this request was made by a person rather than by a page that polls."""
    return request.headers.get("X-Background") != "1"


def set_cookie(response: WsgiResponse, token: str) -> WsgiResponse:
    """Hand the browser its token: HttpOnly, SameSite=Lax, for this host, until the browser closes.

    Rooms above learn of it after the request (`g.handed_over`), such as to know the device again.
    """
    g.handed_over = token
    secure = practice.settings.is_https
    response.set_cookie(cookie_name(), token, httponly=True, samesite="Lax", secure=secure, path="/")
    return response


def clear_cookie(response: WsgiResponse) -> WsgiResponse:
    """Take the token away."""
    secure = practice.settings.is_https
    response.delete_cookie(cookie_name(), path="/", httponly=True, samesite="Lax", secure=secure)
    return response


def signed_in(*roles: Role) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Open a page to people who are signed in and, if roles are given, hold one of them.

    Roles only decide which pages are somebody's to use; which records they see is decided by policies.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not current_user.is_authenticated:
                raise SignInNeeded
            if roles and not visitor().actor.has(*roles):
                raise Refused
            return view(*args, **kwargs)

        guarded.__dict__["telepsych_policy"] = ", ".join(roles) or "signed in"
        return guarded

    return decorate


def public(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a page that anybody may open; every route is either this or `signed_in`."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        view.__dict__["telepsych_policy"] = f"public: {name}"
        return view

    return decorate


@contextmanager
def begin(*, writes: bool = True, public: str = "") -> Iterator[Work]:
    """A unit of work for whoever is asking. A page that only reads says `writes=False`."""
    with practice.begin(visitor().actor, writes=writes, public=public, request_id=g.request_id) as work:
        yield work
    g.setdefault("in_view", set()).update(patient for _act, patient in work.session.info.get("audit.looks", ()))


def in_view() -> frozenset[UUID]:
    """The patients whose data this request has read so far: every look leaves an entry, so none is missed."""
    return frozenset(g.get("in_view", ()))
