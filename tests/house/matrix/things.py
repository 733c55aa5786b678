"""What lies in the records of the two patients whom the doors are tried on: one thing of each kind, and where there is
one in each compartment, three."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from support.cast import Cast

from telepsych.accounts.models import Factor, FactorKind, KnownDevice
from telepsych.appropriateness import service as appropriateness
from telepsych.appropriateness.content import Level, Moment, observations
from telepsych.core.actor import Compartment, Decision
from telepsych.core.clock import DAY, HOUR, MINUTE
from telepsych.core.ids import new_id
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.messaging import service as messaging
from telepsych.oversight import reviews, rights
from telepsych.patients import service as patients
from telepsych.patients.models import (
    Authority,
    BreakGlass,
    CareTeam,
    ConsentSignature,
    Destruction,
    LegalHold,
    Patient,
    Proxy,
    SupporterRequest,
    SupporterState,
)
from telepsych.patients.relations import Part
from telepsych.questionnaires import service as questionnaires
from telepsych.questionnaires.content import instrument_named
from telepsych.questionnaires.models import Response
from telepsych.scheduling import service as scheduling
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority
from telepsych.visits import check_in
from telepsych.visits.forms import StepKey
from telepsych.visits.models import Summary, Visit, VisitSignal
from telepsych.visits.states import VisitState
from telepsych.web.models import SignInSession, Stage

WRITTEN = "We stay with what you take now."
"""What every summary says."""
PASSKEY = {"id": "AAAA", "public_key": "AAAA", "transports": [], "backed_up": False}
"""What is known of a passkey that nobody holds."""


MONDAY = "2026-11-16"
"""Of a week that waits to be looked through."""
CLOSED = date(2026, 12, 24)
"""A day on which the practice is closed."""
NONE = UUID(int=0)
PREPARED = (VisitState.BOOKED, VisitState.ADMITTED, VisitState.WAITING, VisitState.ENDED)
"""Visits that need their check-in and checklist."""


@dataclass
class Things:
    """What lies in one patient's record. By compartment where there is one of a kind in each."""

    patient: UUID
    conversation: dict[str, UUID] = field(default_factory=dict)
    item: dict[str, UUID] = field(default_factory=dict)
    response: dict[str, UUID] = field(default_factory=dict)
    summarised: dict[str, UUID] = field(default_factory=dict)
    """Visits whose summary lies in the compartment."""
    visit: dict[str, UUID] = field(default_factory=dict)
    """By how far it has come: `live`, `waiting`, `missed`, `ended`."""
    person: UUID = NONE
    """Who the patient is when they sign in, and what is theirs there."""
    device: UUID = NONE
    passkey: UUID = NONE
    session: UUID = NONE
    medicine: UUID = NONE
    proxy: UUID = NONE
    supporter: UUID = NONE
    wish: UUID = NONE
    request: UUID = NONE
    hold: UUID = NONE
    destruction: UUID = NONE
    review: UUID = NONE
    signal: UUID = NONE
    glass: UUID = NONE
    care_team: UUID = NONE
    appointment: UUID = NONE


def fill(cast: Cast, people: Mapping[str, UUID], things: Things) -> None:
    with cast.begin(cast.clinician) as work:
        for one in Compartment:
            things.conversation[one] = _conversation(work, things.patient, one)
            title = "Call back"
            made = triage.raise_item(
                work, things.patient, ItemKind.CALL_BACK, Priority.SOON, title=title, compartment=one
            )
            things.item[one] = made.id
            things.response[one] = _response(work, things.patient, one)
            about = ("conversation", things.conversation[one])
            triage.raise_item(
                work, things.patient, ItemKind.MESSAGE, Priority.SOON, title="A letter", about=about, compartment=one
            )
            messaging.add_note(work, things.conversation[one], "Seen in the morning.")
        things.medicine = medications.add_medicine(work, things.patient, name="lamotrigine", strength="25 mg").id
        work.session.flush()
    with cast.system() as work:
        things.proxy = _proxy_of(work, cast, things, Authority.PARENT)
        things.supporter = _proxy_of(work, cast, things, Authority.SUPPORTER)
        _beside(work, people, things)
    states = {"live": VisitState.ADMITTED, "waiting": VisitState.WAITING, "ended": VisitState.ENDED}
    with cast.begin(cast.clinician) as work:
        _answered(work, things.patient)
    for name, state in {**states, "missed": VisitState.BOOKED}.items():
        things.visit[name] = _visit(cast, people, things.patient, state)
    with cast.system(writes=False) as work:
        booked = Visit.id == things.visit["missed"]
        things.appointment = work.one(select(Visit).where(booked)).appointment_id
    with cast.begin(cast.patient if things.person == cast.patient.person_id else cast.adolescent) as work:
        _told_by_patient(work, things)
    with cast.begin(cast.clinician) as work:
        _judged(work, things)
    for one in Compartment:
        things.summarised[one] = _visit(cast, people, things.patient, VisitState.SUMMARISED)
        _summary(cast, things.patient, things.summarised[one], one)
    things.visit["summarised"] = things.summarised["general"]


def _conversation(work: Work, patient: UUID, compartment: Compartment) -> UUID:
    made, reason = new_id(), "something_else"
    messaging.open_conversation(work, made, patient, reason, compartment=compartment)
    messaging.send(work, made, new_id(), "How are you today?")
    return made


def _response(work: Work, patient: UUID, compartment: Compartment) -> UUID:
    given = questionnaires.assign(work, patient, "phq9")
    names = ("patient_id", "instrument_id", "instrument_version", "state", "assigned_at", "age")
    row = Response(**{name: getattr(given, name) for name in names}, compartment=compartment)
    row.safety = {"priority": Priority.SOON.value}
    work.add(row)
    work.session.flush()
    return row.id


def _proxy_of(work: Work, cast: Cast, things: Things, authority: Authority) -> UUID:
    """A proxy in the record: somebody of whom no persona is made."""
    parts = [part.value for part in Part] if authority is Authority.SUPPORTER else []
    row = Proxy(
        patient_id=things.patient,
        person_id=cast.guardian.person_id,
        authority=authority,
        valid_from=work.now,
        document="Seen",
        parts=parts,
        opens_general=not parts,
    )
    return kept(work, row)


def _beside(work: Work, people: Mapping[str, UUID], things: Things) -> None:
    """What is not written by anybody's acts in this practice, as rows."""
    patient = work.session.get_one(Patient, things.patient)
    assert patient.person_id is not None
    things.person = patient.person_id
    wish = SupporterRequest(
        patient_id=patient.id, asked_by=things.person, asked_at=work.now, state=SupporterState.ASKED, name="Sky",
        contact="At home", relationship="aunt", parts=[Part.VISITS.value],
    )  # fmt: skip
    glass = BreakGlass(
        patient_id=patient.id, person_id=people["break-glass"], opened_at=work.now, ends_at=work.now + HOUR,
        opens_confidential=True, opens_sensitive=True, ground="other", reason="An emergency of a test",
    )  # fmt: skip
    device = KnownDevice(
        person_id=things.person, token_hash=things.person.bytes * 2, first_seen_at=work.now, seen_at=work.now
    )
    passkey = Factor(
        person_id=things.person, kind=FactorKind.PASSKEY, created_at=work.now, confirmed_at=work.now,
        proof=things.person.bytes * 2, label="A key", details=PASSKEY,
    )  # fmt: skip
    things.hold = kept(work, LegalHold(patient_id=patient.id, placed_at=work.now, matter="A case", reason="A letter"))
    things.destruction = kept(
        work, Destruction(patient_id=patient.id, proposed_at=work.now, proposed_by=people["manager"], basis={})
    )
    things.wish, things.glass = kept(work, wish), kept(work, glass)
    things.device, things.passkey = kept(work, device), kept(work, passkey)
    things.review = reviews.start(work, work.session.get_one(BreakGlass, things.glass)).id
    mine = SignInSession(person_id=things.person, token_hash=things.patient.bytes * 2, **idle(work))
    things.session = kept(work, mine)
    team = select(CareTeam.id).where(CareTeam.patient_id == patient.id)
    things.care_team = work.session.scalars(team).one()


def _answered(work: Work, patient: UUID) -> None:
    """A questionnaire that is done, and what the ledger knows."""
    given = questionnaires.assign(work, patient, "phq9")
    work.session.flush()
    for item in instrument_named("phq9").items:
        if item.options == "frequency":
            questionnaires.save_answer(work, given.id, item.id, "not_at_all")
    questionnaires.complete(work, given.id)
    patients.record_facts(work, patient, {"last_visit": "2026-11-01"}, source="chart")


def _told_by_patient(work: Work, things: Things) -> None:
    """What only the patient does: steps of the check-in, a signature, a request about the record."""
    live = things.visit["live"]
    check_in.save(work, live, StepKey.PHONE, {"number": "(203) 555-0144"})
    contact = {"name": "Sky Example", "relationship": "sister", "phone": "(203) 555-0145"}
    patients.set_emergency_contact(work, things.patient, **contact)
    signed = ConsentSignature(
        patient_id=things.patient, signer_id=things.person, signed_at=work.now, text_digest=b"d" * 32,
        text={"kind": "telehealth", "id": "none", "version": "0", "language": "en"}, signer_name="Somebody",
        capacity="patient", answers={},
    )  # fmt: skip
    work.add(signed)
    mail = VisitSignal(
        visit_id=live, patient_id=things.patient, sender_id=work.actor.id, to_id=things.person, at=work.now,
        payload={"kind": "bye"},
    )  # fmt: skip
    things.signal = kept(work, mail)
    things.request = rights.ask(work, things.patient, "access", "A copy, please.").id


def _judged(work: Work, things: Things) -> None:
    """A checklist with something observed, ticked and decided."""
    live = things.visit["live"]
    found = appropriateness.evaluate(work, things.patient, Moment.BOOKING, live)
    appropriateness.observe(work, live, things.patient, next(iter(observations())), True)
    appropriateness.tick(work, live, {task.key: True for task in found.tasks})
    appropriateness.decide(work, live, things.patient, Level.L4, reason="As it looks")


def idle(work: Work) -> dict[str, Any]:
    times = {name: work.now for name in ("started_at", "seen_at", "factor_at")}
    return {**times, "epoch": 1, "stage": Stage.FULL, "workforce": False, "device": "A browser"}


def kept(work: Work, row: Any) -> UUID:
    work.add(row)
    work.session.flush()
    work.require(Decision(True))
    work.audited = True
    found: UUID = row.id
    return found


def _visit(cast: Cast, people: Mapping[str, UUID], patient: UUID, state: VisitState) -> UUID:
    """A visit that began a minute ago and that everybody was once let into: whose tie holds now is what counts."""
    with cast.begin(cast.staff) as work:
        visit = _booked(work, cast, patient) if state in PREPARED else _bare(work, cast, patient)
        visit.state, visit.starts_at = state, work.now - MINUTE
        visit.admitted = [str(person) for person in people.values()]
        visit.admitted_at = work.now
        return visit.id


def _booked(work: Work, cast: Cast, patient: UUID) -> Visit:
    """With everything that a booking prepares."""
    before = len(work.session.scalars(select(Visit.id)).all())
    later = work.now + DAY + before * 40 * MINUTE
    appointment = scheduling.book(work, patient, cast.clinician.person_id, later, 30, "A follow-up")
    return work.session.scalars(select(Visit).where(Visit.appointment_id == appointment.id)).one()


def _bare(work: Work, cast: Cast, patient: UUID) -> Visit:
    """The visit alone."""
    row = Visit(
        appointment_id=new_id(), patient_id=patient, clinician_id=cast.clinician.person_id, starts_at=work.now,
        minutes=30, state=VisitState.BOOKED, created_at=work.now,
    )  # fmt: skip
    kept(work, row)
    return row


def _summary(cast: Cast, patient: UUID, visit: UUID, compartment: Compartment) -> None:
    with cast.system() as work:
        names = {"visit_id": visit, "patient_id": patient, "compartment": compartment}
        work.add(Summary(**names, written_by=cast.clinician.person_id, written_at=work.now, decisions=WRITTEN))
        work.require(Decision(True))
        work.audited = True
