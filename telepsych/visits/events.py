"""Live events of the visit room: who is there, and what their browsers say to each other.

A signal goes straight to pages that this process serves; to others it lies in the mailbox for a moment, and only its id
travels. Every step passes the one gate again.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from telepsych.core.actor import system
from telepsych.core.errors import TelepsychError
from telepsych.core.ids import parse_id
from telepsych.core.work import News
from telepsych.visits import policy, signals
from telepsych.visits.models import Visit
from telepsych.web import live

Id = Annotated[str, Field(max_length=36)]
Short = Annotated[str, Field(max_length=64)]
LARGEST_SIGNAL = 16_000


class Input(BaseModel):
    """Nothing but what is named here."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Description(Input):
    """A session description as the browser makes it."""

    type: Literal["offer", "answer", "rollback", "pranswer"]
    sdp: Annotated[str, Field(max_length=LARGEST_SIGNAL)] = ""


class Candidate(Input):
    """One ICE candidate as the browser makes it."""

    candidate: Annotated[str, Field(max_length=1_000)] = ""
    sdpMid: Short | None = None
    sdpMLineIndex: int | None = None
    usernameFragment: Annotated[str, Field(max_length=256)] | None = None


class Payload(Input):
    """What one page says to another about their connection."""

    kind: Literal["description", "candidate", "bye"]
    link: Short | None = None
    to_link: Short | None = None
    turn: int | None = None
    description: Description | None = None
    candidate: Candidate | None = None


class Signal(Input):
    """`visit:signal`"""

    visit: Id
    to: Id
    payload: Payload


class Here(Input):
    """`presence`"""

    visit: Id
    here: bool


callers: dict[tuple[str, UUID], live.Caller] = {}
"""The pages of this process that take part, by socket and visit."""
fingerprints: dict[tuple[str, UUID], str] = {}
"""The certificate each of them spoke for."""


@live.event("visit:signal", Signal, rate=(240, 10), size=LARGEST_SIGNAL)
def signal(caller: live.Caller, data: Signal) -> dict[str, Any]:
    """Bring a payload to the pages of another participant."""
    visit_id, to = parse_id(data.visit), parse_id(data.to)
    payload = data.payload.model_dump(exclude_unset=True)
    with caller.read() as work:
        sockets = signals.sockets_of(work, visit_id, to)
    _note_fingerprint(caller, visit_id, payload)
    ours = [socket for socket in sockets if (socket, visit_id) in callers]
    if ours:
        caller.sockets.emit_to_sockets(ours, "visit:signal", signals.spoken(visit_id, caller.person_id, payload))
    if len(ours) < len(sockets):
        caller.write(lambda work: signals.post(work, visit_id, to, payload))
    return {"reached": bool(sockets)}


@live.event("presence", Here, rate=(30, 10))
def presence(caller: live.Caller, data: Here) -> None:
    """A page takes part, or no longer does."""
    visit_id = parse_id(data.visit)
    if not data.here:
        return _forget(caller, visit_id)
    callers[caller.sid, visit_id] = caller  # before the news of it can arrive
    try:
        caller.write(lambda work: signals.appear(work, visit_id, caller.sid))
    except BaseException:
        callers.pop((caller.sid, visit_id), None)
        raise
    return None


@live.on_disconnect
def gone(caller: live.Caller) -> None:
    """The connection of a page broke: it is no longer in any room."""
    for _, visit_id in [key for key in callers if key[0] == caller.sid]:
        _forget(caller, visit_id)


@live.on_news(signals.PRESENCE_NEWS)
def tell_presence(sockets: live.Sockets, news: News) -> None:
    """Tell the pages of this process who is in a room now."""
    visit_id = parse_id(str(news.ids["visit"]))
    pages = _pages_of(visit_id)
    if not pages:
        return
    with sockets.practice.begin(system("live"), writes=False) as work:
        visit = work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id))
        here = [str(person) for person in signals.present(work, visit)]
    said = {"visit": str(visit_id), "present": here}
    if "newcomer" in news.ids:
        said["newcomer"] = str(news.ids["newcomer"])
    readers = [page.sid for page in pages if page.person_id in news.people]
    sockets.emit_to_sockets(readers, "presence", said)


@live.on_news(signals.SIGNAL_NEWS)
def bring_signal(sockets: live.Sockets, news: News) -> None:
    """Fetch a signal from the mailbox for a page of this process, as the person it is for."""
    visit_id, signal_id = parse_id(str(news.ids["visit"])), parse_id(str(news.ids["signal"]))
    for page in _pages_of(visit_id):
        if page.person_id not in news.people:
            continue
        try:
            page.look_again()
            with page.read() as work:
                said = signals.fetch(work, visit_id, signal_id)
        except TelepsychError as error:
            sockets.note_refusal(page, "news:visit:signal", error.sentence)
            continue
        sockets.emit_to_sockets([page.sid], "visit:signal", said)


def _pages_of(visit_id: UUID) -> list[live.Caller]:
    return [caller for (_, visit), caller in list(callers.items()) if visit == visit_id]


def _forget(caller: live.Caller, visit_id: UUID) -> None:
    callers.pop((caller.sid, visit_id), None)
    fingerprints.pop((caller.sid, visit_id), None)
    caller.write(lambda work: signals.disappear(work, visit_id, caller.sid))


def _note_fingerprint(caller: live.Caller, visit_id: UUID, payload: dict[str, Any]) -> None:
    """Once for each page and certificate."""
    found = signals.fingerprint_of(payload)
    before = fingerprints.get((caller.sid, visit_id))
    if not found or found == before:
        return
    fingerprints[caller.sid, visit_id] = found
    changed = before is not None
    caller.write(lambda work: signals.note_fingerprint(work, visit_id, found, changed=changed))
