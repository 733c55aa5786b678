"""Everything the server says by itself: hints to open pages, and notices to people who are away. Each place in the code
that says something is made to speak, and the matrix looks who is told."""

import ast
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

import telepsych
from house.matrix.things import Things, kept
from house.matrix.world import OF_THE_ADULT, World
from telepsych.accounts import offboarding
from telepsych.appropriateness import service as appropriateness
from telepsych.appropriateness.content import Moment
from telepsych.core.actor import Compartment, Decision, command
from telepsych.core.clock import DAY, HOUR
from telepsych.core.ids import new_id
from telepsych.core.work import Work
from telepsych.messaging import service as messaging
from telepsych.notifications.models import OutboxRow
from telepsych.oversight import due, reviews, rights
from telepsych.patients.models import BreakGlass
from telepsych.scheduling import service as scheduling
from telepsych.server.permissions import ANY, COMPARTMENTS
from telepsych.triage import jobs as triage_jobs
from telepsych.triage import service as triage
from telepsych.triage.models import WorkItem
from telepsych.visits import closing, room, signals
from telepsych.web import sessions

ROOMS = Path(telepsych.__path__[0])
Act = Callable[[World, Things, str], UUID | None]
"""Makes the server speak; may name what it speaks about, where it speaks about other things too."""


def news_said() -> set[str]:
    """`room.module name` for each kind of news that a module announces."""
    return {f"{module} {name}" for module, call in _calls("announce", 1) for name in _texts(module, call.args[1])}


def notices_said() -> set[str]:
    """`room.module kind` for each kind of notice that a module queues."""
    return {f"{module} {name}" for module, call in _calls("notify", 2) for name in _texts(module, call.args[2])}


def _calls(verb: str, needed: int) -> Iterator[tuple[str, ast.Call]]:
    for place in sorted(ROOMS.rglob("*.py")):
        module = ".".join(place.relative_to(ROOMS).with_suffix("").parts)
        for node in ast.walk(ast.parse(place.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == verb
            if named and len(node.args) > needed and ast.unparse(node.func) != "service.announce":
                yield module, node


def _texts(module: str, argument: ast.expr) -> Iterator[str]:
    """The words an argument may stand for: written there, or in a constant of the module."""
    if isinstance(argument, ast.Name):
        yield str(getattr(import_module(f"telepsych.{module}"), argument.id))
    for node in ast.walk(argument):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


# Acts that make the server speak


PATIENT = "the patient"
"""Whoever the things are of."""


def _patient(world: World, things: Things) -> str:
    return "adult" if things is world.adult else "adolescent"


def _as(persona: str, act: Callable[[World, Work, Things, str], UUID | None]) -> Act:
    def run(world: World, things: Things, row: str) -> UUID | None:
        name = _patient(world, things) if persona == PATIENT else persona
        who = world.actor(name, fresh=True) if name else command("test")
        with world.practice.begin(who) as work:
            return act(world, work, things, row)

    return run


def _letter(world: World, work: Work, things: Things, row: str) -> None:
    messaging.send(work, things.conversation[row], new_id(), "We will call you.")


def _letters(world: World, things: Things, row: str) -> None:
    """One of the clinician's, and one of the patient's where they can write it."""
    _as("clinician", _letter)(world, things, row)
    if row != Compartment.SENSITIVE:
        _as(PATIENT, _letter)(world, things, row)


def _note(world: World, work: Work, things: Things, row: str) -> None:
    messaging.add_note(work, things.conversation[row], "Seen in the morning.")


def _item(world: World, work: Work, things: Things, row: str) -> UUID:
    triage.acknowledge(work, things.item[row])
    return things.item[row]


def _late(world: World, things: Things, row: str) -> UUID:
    """The clocks of this one item have run out."""
    clock = world.practice.clock
    clock.move(60 * DAY)  # type: ignore[attr-defined]
    try:
        with world.practice.begin(command("test")) as work:
            work.session.get_one(WorkItem, things.item[row]).due_at = work.now - DAY
            for other in work.session.scalars(select(WorkItem).where(WorkItem.id != things.item[row])):
                other.resolved_at = work.now
            work.require(Decision(True))
            work.audited = True
        triage_jobs.escalate(world.practice)
    finally:
        clock.move(-60 * DAY)  # type: ignore[attr-defined]
    return things.item[row]


def _left(world: World, things: Things, row: str) -> UUID:
    """Somebody goes who worked on it."""
    with world.practice.begin(command("test")) as work:
        work.session.get_one(WorkItem, things.item[row]).owner_id = world.people["break-glass"]
        work.require(Decision(True))
        work.audited = True
    with world.practice.begin(command("test")) as work:
        offboarding.leave(work, world.people["break-glass"])
    return things.item[row]


def _evaluated(world: World, work: Work, things: Things, row: str) -> None:
    appropriateness.evaluate(work, things.patient, Moment.CLOSE, things.visit["live"])


def _ended(world: World, work: Work, things: Things, row: str) -> None:
    room.end(work, things.visit["live"])


def _appeared(world: World, work: Work, things: Things, row: str) -> None:
    signals.appear(work, things.visit["live"], "a socket")


def _signalled(world: World, work: Work, things: Things, row: str) -> None:
    signals.post(work, things.visit["live"], things.person, {"kind": "bye"})


def _signed_out(world: World, work: Work, things: Things, row: str) -> None:
    work.require(Decision(True))
    work.audited = True
    sessions.end(work, things.session)


def _asked(world: World, work: Work, things: Things, row: str) -> None:
    rights.ask(work, things.patient, "access", "A copy, please.")


def _broken(world: World, work: Work, things: Things, row: str) -> None:
    glass = BreakGlass(
        patient_id=things.patient, person_id=world.people["break-glass"], opened_at=work.now, ends_at=work.now + HOUR,
        ground="danger", reason="Once more",
    )  # fmt: skip
    kept(work, glass)
    reviews.start(work, glass)


def _reminded(world: World, things: Things, row: str) -> None:
    """A review whose time is over, on a working day."""
    _as("", _broken)(world, things, row)
    clock = world.practice.clock
    clock.move(28 * DAY)  # type: ignore[attr-defined]
    try:
        with world.practice.begin(command("test")) as work:
            due.remind(work)
    finally:
        clock.move(-28 * DAY)  # type: ignore[attr-defined]


def _booked(world: World, work: Work, things: Things, row: str) -> None:
    scheduling.book(work, things.patient, world.people["clinician"], work.now + 60 * DAY, 30)


def _cancelled(world: World, work: Work, things: Things, row: str) -> None:
    scheduling.cancel(work, things.appointment)


def _summarised(world: World, work: Work, things: Things, row: str) -> None:
    texts = {name: "As it was." for name in closing.FIELDS}
    closing.summarise(work, things.visit["ended"], texts, private=row != Compartment.GENERAL)


def _woken(event: str, **facts: object) -> Act:
    """What a lower room says about somebody."""

    def act(world: World, work: Work, things: Things, row: str) -> None:
        work.require(Decision(True))
        work.audited = True
        known = {"person_id": things.person, "people": frozenset({things.person}), "patient_id": things.patient}
        work.wake(event, **{name: known.get(name, value) for name, value in facts.items()})

    return _as("", act)


GROWING = {"people": None, "patient_id": None, "age": 18, "compartment": Compartment.GENERAL}
NEWS: Mapping[str, Act] = {
    "appropriateness.service visit:news": _as("clinician", _evaluated),
    "messaging.audience conversation:news": _as("clinician", _letter),
    "messaging.service queue:news": _as("clinician", _note),
    "oversight.reviews queue:news": _as("", _broken),
    "oversight.rights queue:news": _as(PATIENT, _asked),
    "triage.jobs queue:news": _late,
    "triage.leaving queue:news": _left,
    "triage.service queue:news": _as("clinician", _item),
    "visits.service visit:news": _as("clinician", _ended),
    "visits.signals visit:presence": _as("clinician", _appeared),
    "visits.signals visit:signal-waiting": _as("clinician", _signalled),
    "web.sessions signed-out": _as("", _signed_out),
}
NOTICES: Mapping[str, Act] = {
    "messaging.service new-message": _letters,
    "notifications.subscribers access-changed": _woken("growing-up", **GROWING, days=0),
    "notifications.subscribers access-soon": _woken("growing-up", **GROWING, days=30),
    "notifications.subscribers invitation": _woken("invitation.made", person_id=None),
    "notifications.subscribers line-used": _woken("factors.line-used", person_id=None),
    "notifications.subscribers new-device": _woken("device.new", person_id=None),
    "notifications.subscribers recovery": _woken("person.recovered", person_id=None),
    "notifications.subscribers sign-in-changed": _woken("factors.changed", person_id=None),
    "oversight.due work-item": _reminded,
    "oversight.reviews work-item": _as("", _broken),
    "oversight.rights work-item": _as(PATIENT, _asked),
    "scheduling.service visit-booked": _as("staff", _booked),
    "scheduling.service visit-changed": _as("staff", _cancelled),
    "triage.jobs work-item": _late,
    "visits.closing visit-changed": _as("clinician", _summarised),
}
SPLIT = frozenset(
    {
        *("messaging.audience conversation:news", "messaging.service queue:news", "messaging.service new-message"),
        *("triage.jobs queue:news", "triage.leaving queue:news", "triage.service queue:news", "triage.jobs work-item"),
        "visits.closing visit-changed",
    }
)
"""What is said about something that lies in a compartment."""


def rows_of(name: str) -> tuple[str, ...]:
    """The rows that the class of a push needs."""
    return COMPARTMENTS if name in SPLIT else (ANY,)


def told_of_news(world: World, name: str, row: str) -> frozenset[str]:
    """Which personas get a hint about the record they are tried on."""
    return _of_both(world, lambda things: _heard(world, name, row, things))


def _of_both(world: World, told: Callable[[Things], frozenset[str]]) -> frozenset[str]:
    young, adult = told(world.young), told(world.adult)
    return frozenset(young.difference(OF_THE_ADULT) | adult.intersection(OF_THE_ADULT))


def _heard(world: World, name: str, row: str, things: Things) -> frozenset[str]:
    with world.practice.scene():
        about = NEWS[name](world, things, row)
        heard = {
            person for news in world.practice.said
            if news.name == name.split()[1] and (about is None or str(about) in map(str, news.ids.values()))
            for person in news.people
        }  # fmt: skip
    return _personas(world, heard)


def told_by_notice(world: World, name: str, row: str) -> frozenset[str]:
    """Which personas get a notice."""
    return _of_both(world, lambda things: _notified(world, name, row, things))


def _notified(world: World, name: str, row: str, things: Things) -> frozenset[str]:
    with world.practice.scene():
        _forget(world)
        NOTICES[name](world, things, row)
        told = _outbox(world, name.split()[1])
    return _personas(world, told)


def _forget(world: World) -> None:
    """Notices that wait already would keep new ones from being queued."""
    with world.practice.begin(command("test")) as work:
        work.require(Decision(True))
        work.audited = True
        for row in work.session.scalars(select(OutboxRow)):
            work.session.delete(row)


def _outbox(world: World, kind: str) -> set[UUID]:
    with world.practice.begin(command("test"), writes=False, public="test") as work:
        return set(work.session.scalars(select(OutboxRow.person_id).where(OutboxRow.kind == kind)))


def _personas(world: World, people: set[UUID]) -> frozenset[str]:
    return frozenset(persona for persona, person in world.people.items() if person in people)
