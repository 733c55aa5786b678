"""Calling every public function of the rooms that takes a unit of work, with arguments made from names and types."""

import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property
from importlib import import_module
from typing import Any, get_origin
from uuid import UUID

from sqlalchemy import select
from werkzeug.datastructures import MultiDict

import telepsych
from house.matrix.things import CLOSED, MONDAY, Things
from house.matrix.world import World
from telepsych.accounts.models import Person
from telepsych.accounts.passkeys import Browser, Made, Shown, Site
from telepsych.appropriateness.content import Level
from telepsych.core.actor import Actor, Compartment, Role
from telepsych.core.errors import NotFound, Refused, SignInNeeded, StepUpNeeded, TelepsychError
from telepsych.core.ids import new_id
from telepsych.core.work import Work
from telepsych.medications.models import MedicationCheckIn
from telepsych.messaging.models import Conversation, Side
from telepsych.oversight.looks import Question
from telepsych.patients.models import Authority, Patient, Proxy
from telepsych.scheduling.models import Appointment
from telepsych.server.permissions import ANY, COMPARTMENTS, Outcome
from telepsych.triage.models import Happening, ItemKind, WorkItem
from telepsych.triage.priority import Priority
from telepsych.visits.forms import StepKey
from telepsych.visits.models import Visit
from telepsych.visits.states import VisitState
from telepsych.web.models import SignInSession

NO_SERVICES = ("app", "cli", "core", "crypto", "demo", "migrations", "server")
"""Where no functions for doors are: what these offer is a command, or below any policy."""
DOORS = ("views", "events", "commands", "jobs", "subscribers")
"""Modules that are doors themselves, or woken from inside a unit that has asked."""
INNER = "inner"
"""The class of functions that ask nothing: a unit which calls nothing else is not saved."""


@dataclass(frozen=True)
class Setting:
    """What arguments are made from."""

    world: World
    work: Work
    things: Things
    persona: str
    compartment: str

    def row(self, model: type[Any], key: object) -> Any:
        found = self.work.session.get(model, key)
        assert found is not None, model
        return found

    def visit(self, function: str) -> UUID:
        return self.things.visit[VISITS.get(function, "live")]


Maker = Callable[[Setting], Any]

VISITS = {
    "visits.room.admit": "waiting",
    "visits.service.mark_no_show": "missed",
    "visits.closing.open_summary": "summarised",
    "visits.closing.summarise": "ended",
    "visits.closing.summary_of": "summarised",
    "visits.room.blocks": "waiting",
    "visits.room.waiting": "waiting",
}
"""How far the visit has come that a function is tried on, where it is not `live`."""
NAMED: Mapping[str, Maker] = {
    "about": lambda s: ("conversation", s.things.conversation[s.compartment]),
    "agreed": lambda _: "yes",
    "answer": lambda _: "not_at_all",
    "authority": lambda _: Authority.SUPPORTER,
    "appointment_id": lambda s: s.things.appointment,
    "birth_date": lambda _: date(1990, 2, 3),
    "body": lambda _: "Hello",
    "capacity": lambda s: CAPACITIES.get(s.persona, "guardian"),
    "care_team_id": lambda s: s.things.care_team,
    "client_id": lambda _: new_id(),
    "clinician_id": lambda s: s.world.people["clinician"],
    "code": lambda _: "pulse",
    "compartment": lambda s: Compartment(s.compartment),
    "conversation_id": lambda s: s.things.conversation[s.compartment],
    "day": lambda _: date(2026, 11, 24),
    "device": lambda _: "a test",
    "disposition": lambda _: "answered",
    "document": lambda _: "Seen",
    "email": lambda _: "new@example.net",
    "factor_id": lambda s: s.things.passkey,
    "fields": lambda _: {"body": "Hello"},
    "form": lambda _: {"number": "(203) 555-0144"},
    "destruction_id": lambda s: s.things.destruction,
    "glass_id": lambda s: s.things.glass,
    "hold_id": lambda s: s.things.hold,
    "instrument_id": lambda _: "phq9",
    "instrument_ids": lambda _: ["phq9"],
    "item_id": lambda s: s.things.item[s.compartment],
    "key": lambda _: StepKey.PHONE,
    "kind": lambda _: ItemKind.CALL_BACK,
    "first": lambda _: date(2026, 11, 1),
    "last": lambda _: date(2026, 11, 24),
    "last_treated": lambda _: date(2026, 11, 1),
    "line": lambda _: "nothing",
    "medicine_id": lambda s: s.things.medicine,
    "minutes": lambda _: 30,
    "moment": lambda s: s.work.now,
    "monday": lambda _: MONDAY,
    "name": lambda _: "Somebody New",
    "note": lambda _: "We spoke.",
    "patient_id": lambda s: s.things.patient,
    "patient_person": lambda s: s.things.person,
    "payload": lambda _: {"kind": "bye"},
    "people": lambda s: [s.world.people["clinician"]],
    "person_id": lambda s: s.things.person,
    "phone": lambda _: "(203) 555-0199",
    "place": lambda _: "letter",
    "preferred_name": lambda _: "Wrenny",
    "priority": lambda _: Priority.SOON,
    "proxy": lambda s: s.row(Proxy, s.things.proxy),
    "proxy_id": lambda s: s.things.proxy,
    "reason": lambda _: "something_else",
    "relationship": lambda _: "aunt",
    "review_id": lambda s: s.things.review,
    "request_id": lambda s: s.things.wish,
    "response_id": lambda s: s.things.response[s.compartment],
    "roles": lambda _: {Role.STAFF},
    "seq": lambda _: 1,
    "session_id": lambda s: s.things.session,
    "signal_id": lambda s: s.things.signal,
    "signer_name": lambda _: "Somebody New",
    "socket": lambda _: "a socket",
    "source": lambda _: "chart",
    "starts_at": lambda s: s.work.now + 60 * 86_400_000_000,
    "step_key": lambda s: f"{s.things.medicine}.taking",
    "team_id": lambda s: s.world.cast.team_id,
    "text": lambda _: "Hello",
    "text_digest": lambda _: "00" * 32,
    "title": lambda _: "Call back",
    "to": lambda s: s.world.people["clinician"],
    "token": lambda _: "no token",
    "typed": lambda _: MultiDict(),
    "value": lambda _: "yes",
    "values": lambda _: {},
    "what": lambda _: Happening.READ,
    "web": lambda s: s.world.app.extensions["telepsych"],
    "when": lambda _: "booking",
}
"""Arguments by their name, the more usual meaning where there are two."""
TYPED: Mapping[type[Any], Maker] = {
    Browser: lambda _: Browser(Site("localhost", "http://localhost"), "somebody"),
    Made: lambda _: Made(b"m" * 32, 0, {"id": "00"}),
    Shown: lambda s: Shown(s.things.passkey, s.things.person, 1, False),
    Conversation: lambda s: s.row(Conversation, s.things.conversation[s.compartment]),
    MedicationCheckIn: lambda s: s.work.session.scalars(
        select(MedicationCheckIn).where(MedicationCheckIn.visit_id == s.things.visit["live"])
    ).one(),
    Patient: lambda s: s.row(Patient, s.things.patient),
    Person: lambda s: s.row(Person, s.things.person),
    Side: lambda _: Side.TEAM,
    WorkItem: lambda s: s.row(WorkItem, s.things.item[s.compartment]),
    Appointment: lambda s: s.row(Appointment, s.row(Visit, s.things.visit["live"]).appointment_id),
    VisitState: lambda _: VisitState.RECONNECTING,
}
"""Arguments by their type, before their name is looked at."""
CAPACITIES = {"adult": "patient", "adolescent": "patient", "conservator": "conservator"}
"""As what a persona signs; the others as guardians."""
NOVEMBER = date(2026, 11, 1), date(2026, 11, 24)
SPECIAL: Mapping[str, Maker] = {
    "oversight.rights.extend.request_id": lambda s: s.things.request,
    "oversight.rights.one.request_id": lambda s: s.things.request,
    "oversight.rights.settle.request_id": lambda s: s.things.request,
    "oversight.rights.withdraw.request_id": lambda s: s.things.request,
    "oversight.looks.answer.question": lambda s: Question(
        s.things.patient, None, date(2026, 11, 1), date(2026, 11, 24)
    ),
    "oversight.looks.find_patient.birth_date": lambda _: date(2011, 6, 1),
    "oversight.looks.find_patient.name": lambda _: "Wren Example",
    "oversight.people.patient_names.patient_ids": lambda s: [s.things.patient],
    "oversight.people.parse_person.text": lambda s: str(s.world.people["colleague"]),
    "accounts.people.end_role.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.give_role.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.join_team.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.leave_team.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.sheet.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.worker.person_id": lambda s: s.world.people["colleague"],
    "accounts.people.worker_here.person_id": lambda s: s.world.people["colleague"],
    "accounts.offboarding.leave.person_id": lambda s: s.world.people["colleague"],
    "accounts.offboarding.departure_of.person_id": lambda s: s.world.people["colleague"],
    "accounts.workforce.welcome.name": lambda _: "Somebody New",
    "patients.break_glass.find.birth_date": lambda _: date(1992, 3, 14),
    "patients.break_glass.find.name": lambda _: "Juniper Example",
    "patients.ledger.fact_history.code": lambda _: "last_visit",
    "questionnaires.service.save_answer.item_id": lambda _: "anhedonia",
    "patients.break_glass.break_glass.birth_date": lambda _: date(1985, 11, 2),
    "patients.break_glass.break_glass.ground": lambda _: "danger",
    "patients.break_glass.break_glass.name": lambda _: "Rowan Sample",
    "patients.break_glass.break_glass.reason": lambda _: "They called in great distress and hung up.",
    "patients.intake.person_of.email": lambda _: "wren@example.org",
    "patients.intake.search.text": lambda _: "wren",
    "triage.leaving.on_leaving.tell": lambda _: lambda _leftover: None,
    "visits.check_in.answers.key": lambda _: StepKey.PHONE,
    "visits.room.configuration.origin_host": lambda _: "127.0.0.1",
    "visits.service.last_held.before": lambda s: s.work.now,
    "visits.signals.sockets_of.to": lambda s: (
        s.things.person if s.persona == "clinician" else s.world.people["clinician"]
    ),
    "web.live_ticket.issue_ticket.session_id": lambda s: s.work.actor.session_id or new_id(),
    "visits.closing.has_summary.visits": lambda s: [s.row(Visit, s.things.summarised["general"])],
    "accounts.people.end_role.grant_id": lambda s: s.world.grant,
    "accounts.people.leave_team.member_id": lambda s: s.world.member,
    "accounts.hours.open_on.day": lambda _: CLOSED,
    "audit.export.proof_of.entry_id": lambda _: new_id(),
    "appropriateness.service.decide.level": lambda _: Level.L1,
    "home.patient_home.letters.endpoint": lambda _: "messaging.show",
    "patients.supporters.revoke.proxy_id": lambda s: s.things.supporter,
}
"""Arguments of one function, as `room.module.function.argument`."""
EMPTY_ANSWERS = frozenset(
    {
        *("accounts.hours.closed_days", "accounts.hours.week", "appropriateness.service.admission_blocks"),
        *(
            "appropriateness.service.ticks",
            "home.scores.charts",
            "oversight.weekly.weeks",
            "patients.retention.expired",
        ),
        *("visits.room.blocks", "visits.room.waiting", "visits.signals.sockets_of", "web.drafts.kept"),
        "web.reports.counted",
    }
)
"""Functions that have nothing to answer in this practice, whoever asks."""
SPLIT = frozenset({"about", "compartment", "conversation", "conversation_id", "item", "item_id", "response_id"})
"""Arguments that lie in a compartment."""


def _plain(kind: object) -> Maker | None:
    """A value of a simple type, where its meaning does not decide who may."""
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return lambda _: next(iter(kind))
    plain = {str: "text", int: 1, bool: True, bytes: b"bytes"}
    if kind in plain:
        return lambda _: plain[kind]  # type: ignore[index]
    if get_origin(kind) in (Mapping, dict):
        return lambda _: {}
    return (lambda _: []) if get_origin(kind) in (Iterable, Sequence, Collection, list) else None


@dataclass(frozen=True)
class Service:
    """One function of a room."""

    name: str
    """`room.module.function`"""
    function: Callable[..., Any]

    @cached_property
    def needed(self) -> list[inspect.Parameter]:
        """The parameters that a call must name, and the compartment where there is one."""
        _, *others = inspect.signature(self.function).parameters.values()
        return [
            one for one in others
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            and (one.default is one.empty or one.name == "compartment" or self._is_special(one))
        ]  # fmt: skip

    def _is_special(self, parameter: inspect.Parameter) -> bool:
        return f"{self.name}.{parameter.name}" in SPECIAL

    @property
    def answers(self) -> bool:
        """Whether the function is there to be read from."""
        kind = inspect.signature(self.function).return_annotation
        return kind not in (None, "None", bool, int, str) and self.name not in EMPTY_ANSWERS

    @property
    def compartments(self) -> tuple[str, ...]:
        split = any(one.name in SPLIT and not self._is_special(one) for one in self.needed)
        return COMPARTMENTS if split else (ANY,)

    def arguments(self, setting: Setting) -> dict[str, Any]:
        return {one.name: self._make(one, setting) for one in self.needed}

    def _make(self, parameter: inspect.Parameter, setting: Setting) -> Any:
        maker = SPECIAL.get(f"{self.name}.{parameter.name}")
        if maker is None and parameter.annotation is Visit:
            return setting.row(Visit, setting.visit(self.name))
        if maker is None and parameter.name == "visit_id":
            return setting.visit(self.name)
        if maker is None and parameter.annotation is SignInSession:
            return setting.row(SignInSession, setting.things.session)
        maker = maker or TYPED.get(parameter.annotation) or NAMED.get(parameter.name) or _plain(parameter.annotation)
        assert maker, (
            f"{self.name} has an argument `{parameter.name}` that tests/house/matrix/services.py cannot make: "
            "add it to NAMED, or to SPECIAL if it means something else elsewhere"
        )
        return maker(setting)


def can_be_called(service: Service) -> bool:
    """Whether arguments can be made for it; what is of no door's making need not be."""
    known = {*NAMED, "visit_id"}
    return all(
        one.name in known or one.annotation in (*TYPED, Visit, SignInSession) or _plain(one.annotation)
        or f"{service.name}.{one.name}" in SPECIAL for one in service.needed
    )  # fmt: skip


def services() -> Iterator[Service]:
    """Every public function that takes a unit of work first, where it is defined."""
    for found in pkgutil.walk_packages(telepsych.__path__, "telepsych."):
        _, room, *rest = found.name.split(".")
        if room in NO_SERVICES or not rest or rest[0].endswith(DOORS):
            continue
        module = import_module(found.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == found.name and not name.startswith("_") and _takes_work(function):
                yield Service(f"{room}.{rest[0]}.{name}", function)


def _takes_work(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.annotation is Work


def _is_nothing(answer: object) -> bool:
    """Whether a scoped reader found nothing: who may not see something is shown an empty list."""
    return answer is None or (isinstance(answer, Sized) and not isinstance(answer, str) and not answer)


class Enough(Exception):
    """The function has answered; nothing is kept."""


@dataclass(frozen=True)
class Called:
    """How a call ended: the letter of an `Outcome`, or `fresh`. `asked`: a policy was asked; `done`: it was done."""

    outcome: str
    asked: bool
    done: bool = False


def call(world: World, actor: Actor, persona: str, service: Service, compartment: str) -> Called:
    """Call a function as somebody. Nothing of it stays. A defect in it is raised."""
    asked: list[bool] = []
    where = "general" if compartment == ANY else compartment
    with world.practice.scene(), world.app.test_request_context():
        try:
            with world.practice.begin(actor) as work:
                setting = Setting(world, work, world.things_for(persona), persona, where)
                arguments = service.arguments(setting)
                try:
                    answer = service.function(work, **arguments)
                    answer = list(answer) if inspect.isgenerator(answer) else answer
                finally:
                    asked.append(work.asked)
                if service.answers and _is_nothing(answer):
                    raise NotFound
                raise Enough
        except Enough:
            return Called(Outcome.ALLOWED, asked[0], done=True)
        except TelepsychError as error:
            return Called(_outcome(error), asked[0])


def _outcome(error: TelepsychError) -> str:
    if isinstance(error, StepUpNeeded):
        return "fresh"
    kinds = {Refused: Outcome.REFUSED, NotFound: Outcome.MISSING, SignInNeeded: Outcome.SIGN_IN}
    return kinds.get(type(error), Outcome.ALLOWED)
