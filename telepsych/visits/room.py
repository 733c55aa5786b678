"""The people of a visit: waiting, let in, in the room, gone and back; and how well they hear each other.

Every way in passes `policy.may_enter`. Heartbeats come over HTTP; a job notices when they stop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.appropriateness import service as appropriateness
from telepsych.appropriateness.content import Moment
from telepsych.audit import service as audit
from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.errors import Conflict, Refused
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.visits import policy, service, telemetry, turn
from telepsych.visits.models import Visit, VisitHeartbeat, VisitParticipant
from telepsych.visits.states import LIVE, VisitState
from telepsych.visits.turn import IceConfiguration, MediaPolicy
from telepsych.web import sessions

SILENCE = 30 * SECOND
"""A page that sent nothing for so long is lost."""
GONE = 45 * SECOND
"""A waiting room that has not asked for so long is closed."""
BUSY = 2 * MINUTE
"""How long a sign of life from a visit counts as activity of the session."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody in the waiting room, not yet let in."""

    person_id: UUID
    name: str
    since: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a visit stands, for the waiting room."""

    state: VisitState
    sentence: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything a page needs to take part, for one participant."""

    visit_id: UUID
    me: UUID
    participants: tuple[tuple[UUID, str], ...]
    ice: IceConfiguration
    direct_allowed: bool


def arrive(work: Work, visit_id: UUID) -> Visit:
    """The patient, or whoever represents them, opens the waiting room; the clinician sees it at once."""
    visit = service.held(work, visit_id)
    work.require(policy.may_wait(work.actor, visit, work.now))
    _waits(work, visit)
    if visit.state in (VisitState.BOOKED, VisitState.CHECKED_IN):
        visit.waiting_at = work.now
        service.move(work, visit, VisitState.WAITING)
        audit.record(work, "visit.arrived", f"visit:{visit.id}", patient_id=visit.patient_id)
        appropriateness.evaluate(work, visit.patient_id, Moment.ARRIVAL, visit.id)
    elif not policy.may_enter(work.actor, visit, work.now):
        service.announce(work, visit)
    audit.look(work, "visit.read", visit.patient_id)
    return visit


def look(work: Work, visit_id: UUID) -> Standing:
    """The waiting room asks where the visit stands; this keeps one's place and one's session."""
    visit = work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id))
    stays = policy.may_wait(work.actor, visit, work.now)
    if stays:
        _waits(work, visit)
    if stays or policy.may_enter(work.actor, visit, work.now):
        _stay_signed_in(work)
    return Standing(policy.state_for(work.actor, visit), service.sentence_for(work, visit))


def waiting(work: Work, visit: Visit) -> list[Waiting]:
    """Who is in the waiting room now and has not been let in, for the clinician."""
    work.require(policy.may_admit(work.actor, visit))
    here = _participants(work, visit.id, VisitParticipant.waits_at >= work.now - GONE)
    names = service.names_of(work, [one.person_id for one in here])
    fresh = [one for one in here if str(one.person_id) not in visit.admitted]
    return [Waiting(one.person_id, names.get(one.person_id, ""), visit.waiting_at or work.now) for one in fresh]


def blocks(work: Work, visit: Visit) -> tuple[str, ...]:
    """What speaks against beginning this visit, in words."""
    return appropriateness.admission_blocks(work, visit.id)


def admit(work: Work, visit_id: UUID, *, anyway: bool = False) -> Visit:
    """Let in everybody who waits. Raises `Conflict` when nobody does, or when a rule says that the visit should not
    begin and the clinician has not said that it does `anyway`.
    """
    visit = service.held(work, visit_id)
    work.require(policy.may_admit(work.actor, visit))
    people = [one.person_id for one in waiting(work, visit)]
    if not people:
        raise Conflict(gettext("Nobody is waiting right now."))
    against = blocks(work, visit)
    if against and not anyway:
        raise Conflict(" ".join(against))
    visit.admitted = [*visit.admitted, *(str(person) for person in people)]
    if visit.state is VisitState.WAITING:
        visit.admitted_at = work.now
        service.move(work, visit, VisitState.ADMITTED)
    else:
        service.announce(work, visit)
    detail = {"people": [str(person) for person in people], "against": list(against)}
    audit.record(work, "visit.admitted", f"visit:{visit.id}", patient_id=visit.patient_id, detail=detail)
    appropriateness.evaluate(work, visit.patient_id, Moment.IN_VISIT, visit.id)
    return visit


def enter(work: Work, visit_id: UUID) -> Visit:
    """The visit, for somebody at the door of its room. Raises `Refused` unless they may come in."""
    visit = work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id))
    work.require(policy.may_enter(work.actor, visit, work.now))
    return visit


def join(work: Work, visit_id: UUID) -> Visit:
    """Take part, for the first time or again after leaving."""
    visit = enter(work, visit_id)
    me = _participant(work, visit)
    if me.joined_at is None or me.left_at is not None:
        action = "visit.joined" if me.joined_at is None else "visit.rejoined"
        audit.record(work, action, f"visit:{visit.id}", patient_id=visit.patient_id)
        me.joined_at = me.joined_at or work.now
    me.left_at, me.heard_at = None, work.now
    _stay_signed_in(work)
    return visit


rejoin = join


def configuration(work: Work, visit_id: UUID, origin_host: str) -> Configuration:
    """What this participant's page needs to connect. Raises `Refused` when media can't travel safely from here."""
    visit = join(work, visit_id)
    settings = work.practice.settings
    how = turn.media_policy(settings.turn_urls, origin_host)
    if how is MediaPolicy.REFUSED:
        raise Refused(no_media_words(settings.practice_phone))
    me = work.actor.id
    assert me is not None  # `may_enter` lets in people only
    names = service.names_of(work, participants(work, visit))
    ice = (
        turn.ice_servers(settings.turn_urls, settings.turn_secret, visit.id, me, work.now, visit.ends_at)
        if how is MediaPolicy.RELAY
        else turn.direct()
    )
    return Configuration(visit.id, me, tuple(names.items()), ice, how is MediaPolicy.DIRECT_LOOPBACK)


def no_media_words(phone: str) -> str:
    """What both sides read where no relay is set up."""
    return gettext("Video visits are not set up here yet. Please have this visit by phone: %(phone)s.") % {
        "phone": phone
    }


def participants(work: Work, visit: Visit) -> list[UUID]:
    """The clinician, and everybody who was let in and whose tie to the patient holds now."""
    tied = service.people_of(work, visit)
    return [visit.clinician_id, *(person for person in map(UUID, visit.admitted) if person in tied)]


def beat(work: Work, visit_id: UUID, figures: Mapping[str, Any]) -> Visit:
    """A sign of life from a participant's page, with how well it hears and sees the others."""
    visit = enter(work, visit_id)
    me = _participant(work, visit)
    me.joined_at, me.heard_at = me.joined_at or work.now, work.now
    kept = telemetry.of_page(figures)
    work.add(
        VisitHeartbeat(
            visit_id=visit.id, patient_id=visit.patient_id, person_id=work.actor.id, at=work.now, figures=kept
        )
    )
    _stay_signed_in(work)
    if visit.state is VisitState.RECONNECTING and not _lost(work, visit):
        _back(work, service.held(work, visit_id))
    return visit


def leave(work: Work, visit_id: UUID) -> None:
    """Leave the room; the visit stays open and one may come back."""
    visit = work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id))
    me = work.session.scalar(_mine(visit, work.actor.id))
    if me is None or me.left_at is not None:
        return
    me.left_at = work.now
    audit.record(work, "visit.left", f"visit:{visit.id}", patient_id=visit.patient_id)


def end(work: Work, visit_id: UUID) -> Visit:
    """End the visit for everybody. What was heard and lost goes into the record."""
    visit = service.held(work, visit_id)
    work.require(policy.may_end(work.actor, visit))
    if visit.lost_at is not None:
        visit.dropped += work.now - visit.lost_at
    visit.ended_at, visit.lost_at = work.now, None
    service.move(work, visit, VisitState.ENDED)
    audit.record(work, "visit.ended", f"visit:{visit.id}", patient_id=visit.patient_id)
    telemetry.record_facts(work, visit)
    return visit


def mark_lost(work: Work) -> list[Visit]:
    """Mark the visits in which somebody's page has fallen silent. Returns them."""
    going_on = policy.visits_of(work.actor, work.now).where(Visit.state == VisitState.ADMITTED)
    found = [visit for visit in work.all(going_on.with_for_update()) if _lost(work, visit)]
    for visit in found:
        visit.lost_at = work.now
        service.move(work, visit, VisitState.RECONNECTING)
        audit.record(work, "visit.connection-lost", f"visit:{visit.id}", patient_id=visit.patient_id)
    return found


def confirm(work: Work, visit_id: UUID, *, identity: bool, location: bool) -> Visit:
    """The clinician has made sure of who this is and where they are."""
    visit = service.visit(work, visit_id)
    work.require(policy.may_admit(work.actor, visit))
    values: dict[str, object] = {"identity.verified": identity, "visit.location_confirmed": location}
    known = patients.facts_of(work, visit.patient_id).get("visit.location")
    if known is not None and isinstance(known.value, dict):
        values["visit.location"] = {**known.value, "confirmed": location}
    service.record(work, visit, values, source="visit")
    audit.record(work, "visit.confirmed", f"visit:{visit.id}", patient_id=visit.patient_id)
    service.announce(work, visit)
    return visit


def _back(work: Work, visit: Visit) -> None:
    """Everybody is heard again."""
    if visit.state is not VisitState.RECONNECTING:
        return
    if visit.lost_at is not None:
        visit.dropped += work.now - visit.lost_at
    visit.lost_at = None
    service.move(work, visit, VisitState.ADMITTED)
    audit.record(work, "visit.connection-back", f"visit:{visit.id}", patient_id=visit.patient_id)


def _lost(work: Work, visit: Visit) -> bool:
    """Whether somebody who takes part, and did not leave, has fallen silent."""
    silent = _participants(
        work,
        visit.id,
        VisitParticipant.joined_at.is_not(None),
        VisitParticipant.left_at.is_(None),
        VisitParticipant.heard_at < work.now - SILENCE,
    )
    return visit.state in LIVE and bool(silent)


def _waits(work: Work, visit: Visit) -> None:
    _participant(work, visit).waits_at = work.now


def _participant(work: Work, visit: Visit) -> VisitParticipant:
    """The actor's own row, made on first need."""
    row: VisitParticipant | None = work.session.scalar(_mine(visit, work.actor.id))
    if row is None:
        row = work.add(VisitParticipant(visit_id=visit.id, person_id=work.actor.id))
        work.session.flush()
    return row


def _mine(visit: Visit, person_id: UUID | None) -> Any:
    return select(VisitParticipant).where(
        VisitParticipant.visit_id == visit.id, VisitParticipant.person_id == person_id
    )


def _participants(work: Work, visit_id: UUID, *conditions: Any) -> list[VisitParticipant]:
    found = select(VisitParticipant).where(VisitParticipant.visit_id == visit_id, *conditions)
    return list(work.session.scalars(found.order_by(VisitParticipant.id)))


def _stay_signed_in(work: Work) -> None:
    """A live visit or waiting room counts as activity, up to the session's absolute limit."""
    if work.actor.session_id is not None:
        sessions.touch(work, work.actor.session_id, busy_for=BUSY)
