"""Events from pages. Every one passes `answer_event`: session and epoch again, rate, size, schema, then its handler,
which opens a unit of work and asks its policy there. Whatever happens, the page gets a structured answer.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel, ValidationError

from telepsych.core.actor import Actor
from telepsych.core.errors import (
    Invalid,
    NotFound,
    Refused,
    SignInNeeded,
    TelepsychError,
    TooLarge,
    TooMany,
    kind_and_place,
)
from telepsych.core.words import gettext
from telepsych.core.work import News, Practice, Work
from telepsych.web.live_transport import Bucket

log = logging.getLogger("telepsych.live")

T = TypeVar("T")
D = TypeVar("D", bound=BaseModel)
Answer = dict[str, Any]
FRESH = 2.0
"""Seconds for which a session is taken for open without looking again."""
LARGEST_EVENT = 4_096
"""Characters of an event's data, unless the event says otherwise."""


class Sockets(Protocol):
    """What a handler may ask of this process's own sockets."""

    practice: Practice

    def emit_to(self, people: Collection[UUID], name: str, data: Mapping[str, Any]) -> None: ...
    def emit_to_sockets(self, sids: Collection[str], name: str, data: Mapping[str, Any]) -> None: ...
    def people_here(self, people: Collection[UUID]) -> frozenset[UUID]: ...
    def may_speak(self, caller: "Caller") -> bool: ...
    def actor_now(self, caller: "Caller") -> Actor: ...
    def write(self, actor: Actor, act: Callable[[Work], T], public: str = "") -> T: ...
    def note_refusal(self, caller: "Caller", about: str, reason: str) -> None: ...


@dataclass(eq=False)
class Caller:
    """The person behind one socket. `actor` is as of the last look at the session, at most `FRESH` seconds ago."""

    sid: str
    session_id: UUID
    actor: Actor
    sockets: Sockets
    looked_at: float = field(default_factory=time.monotonic)
    ended: bool = False
    buckets: dict[str, Bucket] = field(default_factory=dict)

    @property
    def person_id(self) -> UUID:
        return cast(UUID, self.actor.id)

    def read(self) -> AbstractContextManager[Work]:
        """A unit of work that only reads."""
        return self.sockets.practice.begin(self.actor, writes=False)

    def write(self, act: Callable[[Work], T]) -> T:
        """Write transport rows in a unit of work, where a slow disk stops nobody."""
        return self.sockets.write(self.actor, act)

    def look_again(self) -> None:
        """Make sure the session is still open. Raises `SignInNeeded`."""
        if self.ended:
            raise SignInNeeded
        if time.monotonic() - self.looked_at >= FRESH:
            self.actor = self.sockets.actor_now(self)
            self.looked_at = time.monotonic()


Handler = Callable[[Caller, D], Answer | None]
Hook = Callable[[Caller], None]
Courier = Callable[[Sockets, News], None]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event that pages may send."""

    name: str
    schema: type[BaseModel]
    handler: Callable[[Caller, Any], Answer | None]
    rate: tuple[int, float]
    size: int


events: dict[str, Event] = {}
couriers: dict[str, Courier] = {}
joined: list[Hook] = []
left: list[Hook] = []


def event(
    name: str, schema: type[D], rate: tuple[int, float], size: int = LARGEST_EVENT
) -> Callable[[Handler[D]], Handler[D]]:
    """Register the handler of an event: `rate` is (how many, in how many seconds) for one socket.

    The handler gets the caller and the validated data, asks its policy in a unit of work (`caller.read`,
    `caller.write`) and returns what to add to `{"ok": true}`. Errors of our family become `{"ok": false, …}`.
    """

    def register(handler: Handler[D]) -> Handler[D]:
        if name in events:
            raise ValueError(f"two handlers for the event {name}")
        events[name] = Event(name, schema, handler, rate, size)
        return handler

    return register


def on_connect(hook: Hook) -> Hook:
    """Call `hook(caller)` whenever a socket has been let in."""
    joined.append(hook)
    return hook


def on_disconnect(hook: Hook) -> Hook:
    """Call `hook(caller)` whenever a socket that had been let in is gone."""
    left.append(hook)
    return hook


def on_news(name: str) -> Callable[[Courier], Courier]:
    """Let `courier(sockets, news)` bring this kind of news from the bus to this process's sockets."""

    def register(courier: Courier) -> Courier:
        if name in couriers:
            raise ValueError(f"two couriers for the news {name}")
        couriers[name] = courier
        return courier

    return register


def answer_event(caller: Caller, name: str, data: tuple[Any, ...]) -> Answer:
    """Do what an event asks, or say why not."""
    try:
        if not caller.sockets.may_speak(caller):
            raise TooMany
        caller.look_again()
        kind = events.get(name)
        if kind is None:
            raise NotFound(gettext("We don't know this request. Please reload the page."))
        _keep_to_rate(caller, kind)
        return {"ok": True, **(kind.handler(caller, _read(kind, data)) or {})}
    except TelepsychError as error:
        if isinstance(error, Refused):
            caller.sockets.note_refusal(caller, f"event:{name}", error.sentence)
        return problem(error)
    except Exception as error:
        reference = note_defect(f"event {name if name in events else 'unknown'}", error)
        return {**problem(TelepsychError()), "reference": reference}


def problem(error: TelepsychError) -> Answer:
    """An error as a page gets it."""
    said: Answer = {
        "ok": False,
        "status": error.status,
        "title": HTTPStatus(error.status).phrase,
        "detail": error.sentence,
    }
    if isinstance(error, TooMany):
        said["retry_after"] = error.retry_after
    return said


def note_defect(doing: str, error: BaseException) -> str:
    """Log a defect: what kind and where, never with what values. Returns the reference it is logged under."""
    reference = secrets.token_hex(8)
    log.error("defect %s %s in %s", reference, kind_and_place(error), doing)
    return reference


def _keep_to_rate(caller: Caller, kind: Event) -> None:
    count, seconds = kind.rate
    bucket = caller.buckets.setdefault(kind.name, Bucket(count, count / seconds))
    if not bucket.take():
        raise TooMany(retry_after=max(1, round(seconds / count)))


def _read(kind: Event, data: tuple[Any, ...]) -> BaseModel:
    given = data[0] if data else {}
    if len(json.dumps(given)) > kind.size:
        raise TooLarge
    try:
        return kind.schema.model_validate(given)
    except ValidationError:
        raise Invalid(gettext("This request is incomplete. Please reload the page.")) from None
