"""Sending every live event as somebody, to a process without a network."""

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

from house.matrix.things import Things
from house.matrix.world import NO_SESSION, World
from telepsych import app
from telepsych.core.actor import Actor
from telepsych.core.errors import SignInNeeded
from telepsych.core.work import Practice, Work
from telepsych.server.permissions import ANY, Outcome
from telepsych.web import live_events
from telepsych.web.live_events import Caller, Event

DATA: Mapping[str, Callable[[World, Things], dict[str, Any]]] = {
    "presence": lambda _world, things: {"visit": str(things.visit["live"]), "here": True},
    "visit:signal": lambda world, things: {
        "visit": str(things.visit["live"]),
        "to": str(world.people["clinician"]),
        "payload": {"kind": "bye"},
    },
}
"""What is sent with each event."""
OTHER_DATA: Mapping[tuple[str, str], Callable[[World, Things], dict[str, Any]]] = {
    ("visit:signal", "clinician"): lambda world, things: {
        **DATA["visit:signal"](world, things), "to": str(things.person)
    },
}  # fmt: skip
"""The same for a persona who cannot send it to themself."""


def registered() -> dict[str, Event]:
    """Every event that pages of the practice may send; those of other tests' laboratories are not the practice's."""
    for room in app.EVENTS:
        import_module(f"telepsych.{room}")
    return {
        name: event
        for name, event in live_events.events.items()
        if event.handler.__module__.startswith("telepsych.")
    }  # fmt: skip


class Process:
    """A live process that says nothing to anybody."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice

    def emit_to(self, people: Collection[UUID], name: str, data: Mapping[str, Any]) -> None: ...

    def emit_to_sockets(self, sids: Collection[str], name: str, data: Mapping[str, Any]) -> None: ...

    def people_here(self, people: Collection[UUID]) -> frozenset[UUID]:
        return frozenset()

    def may_speak(self, caller: Caller) -> bool:
        return True

    def actor_now(self, caller: Caller) -> Actor:
        return caller.actor

    def write(self, actor: Actor, act: Callable[[Work], Any], public: str = "") -> Any:
        with self.practice.begin(actor, public=public) as work:
            return act(work)

    def note_refusal(self, caller: Caller, about: str, reason: str) -> None: ...


def rows_of(_event: Event) -> tuple[str, ...]:
    """No event is about something in a compartment so far."""
    return (ANY,)


def send(world: World, persona: str, event: Event) -> str:
    """Send an event as somebody. Nothing of it stays. Returns the letter of the outcome."""
    things = world.things_for(persona)
    data = OTHER_DATA.get((event.name, persona), DATA[event.name])(world, things)
    page = Caller(f"sid-{uuid4()}", uuid4(), world.actor(persona), Process(world.practice))
    page.ended = persona in NO_SESSION
    with world.practice.scene():
        said = live_events.answer_event(page, event.name, (data,))
        for hook in live_events.left:
            hook(page)
    statuses = {403: Outcome.REFUSED, 404: Outcome.MISSING, SignInNeeded.status: Outcome.SIGN_IN}
    if said.get("status", 200) >= 500:
        return f"defect: {said}"
    return statuses.get(said.get("status", 200), Outcome.ALLOWED)
