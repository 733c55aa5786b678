"""Who sees a visit, who may wait, who is let in, who ends it. One gate for every way into the room."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role
from telepsych.core.clock import HOUR, MINUTE
from telepsych.core.words import gettext
from telepsych.patients import policy as patients
from telepsych.visits.models import CheckInAnswer, Summary, Visit
from telepsych.visits.states import AHEAD, CLOSED, HELD, LIVE, OPEN, VisitState

OPENS_BEFORE = 15 * MINUTE
"""How long before the visit its waiting room opens."""
LATEST = 12 * HOUR
"""A visit that nobody ended lets nobody in any more this long after its start."""
OWN = (Relation.SELF, Relation.PROXY)


def visits_of(actor: Actor, now: int) -> Select[Visit]:
    """The visits of every patient whose general compartment is open to the actor, and those a clinician holds."""
    if actor.is_system:
        return select(Visit)
    theirs = Visit.patient_id.in_(patients.patient_ids_of(actor, now))
    if actor.has(Role.CLINICIAN):
        held = and_(Visit.clinician_id == actor.id, Visit.patient_id.not_in(actor.relatives))
        return select(Visit).where(or_(theirs, held))
    return select(Visit).where(theirs)


def answers_of(actor: Actor, now: int) -> Select[CheckInAnswer]:
    """The check-in answers whose compartment is open to the actor."""
    return select(CheckInAnswer).where(_open_to(CheckInAnswer, actor, now, Compartment))


def summaries_of(actor: Actor, now: int) -> Select[Summary]:
    """The summaries whose compartment is open to the actor."""
    return select(Summary).where(_open_to(Summary, actor, now, Compartment))


def may_enter(actor: Actor, visit: Visit, now: int) -> Decision:
    """The one admission gate of page, configuration, heartbeat, signals and presence.

    In comes the visit's clinician, and whoever the clinician has let in while their tie to the patient holds. Nobody
    comes in uninvited, and nobody after the end.
    """
    if visit.state in CLOSED:
        return Decision(False, gettext("This visit is over."))
    if now > visit.starts_at + LATEST:
        return Decision(False, gettext("This visit was on another day."))
    if is_clinician_of(actor, visit):
        return Decision(True)
    if not is_of_the_patient(actor, visit):
        return Decision(False, gettext("You are not part of this visit."))
    if visit.state not in LIVE or str(actor.id) not in visit.admitted:
        return Decision(False, gettext("Your clinician has not let you in yet. Please wait in the waiting room."))
    return Decision(True)


def may_wait(actor: Actor, visit: Visit, now: int) -> Decision:
    """The patient, or whoever represents them, from a little before the visit until its end."""
    if not is_of_the_patient(actor, visit):
        return Decision(False, gettext("You are not part of this visit."))
    if visit.state not in OPEN:
        return Decision(False, gettext("This visit is over."))
    if now < visit.starts_at - OPENS_BEFORE:
        return Decision(False, gettext("The waiting room opens 15 minutes before your visit."))
    if now > visit.starts_at + LATEST:
        return Decision(False, gettext("This visit was on another day."))
    return Decision(True)


def may_admit(actor: Actor, visit: Visit) -> Decision:
    """The visit's clinician lets people in."""
    return Decision(is_clinician_of(actor, visit), gettext("Only the visit's clinician lets people in."))


def may_end(actor: Actor, visit: Visit) -> Decision:
    """The visit's clinician ends it."""
    return Decision(is_clinician_of(actor, visit), gettext("Only the visit's clinician ends it."))


def may_summarise(actor: Actor, visit: Visit) -> Decision:
    """The visit's clinician writes the summary, once the visit is over."""
    if not is_clinician_of(actor, visit):
        return Decision(False, gettext("Only the visit's clinician writes its summary."))
    return Decision(visit.state in HELD, gettext("End the visit first."))


def may_check_in(actor: Actor, visit: Visit) -> Decision:
    """The patient or whoever represents them, until the visit is over."""
    if not is_of_the_patient(actor, visit):
        return Decision(False, gettext("Only the patient checks in."))
    return Decision(visit.state in OPEN, gettext("This visit is over."))


def may_book(actor: Actor) -> Decision:
    """The care team and the practice's clockwork; a booking brings its visit with it."""
    return Decision(bool(patients.can_coordinate(actor)), gettext("Only the care team books visits."))


def may_note_missed(actor: Actor, visit: Visit, now: int) -> Decision:
    """The care team, once the visit should have begun; nobody about somebody they know in private life."""
    care = patients.can_coordinate(actor, visit.patient_id)
    if not care:
        return care
    return Decision(
        now >= visit.starts_at and visit.state in AHEAD, gettext("This visit can't be marked as missed now.")
    )


def is_clinician_of(actor: Actor, visit: Visit) -> bool:
    """Whether the actor holds this visit. Nobody treats a relative."""
    mine = actor.id is not None and actor.id == visit.clinician_id and actor.has(Role.CLINICIAN)
    return mine and visit.patient_id not in actor.relatives


def is_of_the_patient(actor: Actor, visit: Visit) -> bool:
    """Whether the actor is the patient, or represents them in everyday matters, now."""
    return opens(actor, visit.patient_id, Compartment.GENERAL)


def opens(actor: Actor, patient_id: UUID, compartment: Compartment) -> bool:
    """Whether the actor is the patient, or represents them where this compartment is concerned."""
    return any(
        tie.patient_id == patient_id and tie.relation in OWN and compartment in tie.compartments for tie in actor.ties
    )


def state_for(actor: Actor, visit: Visit) -> VisitState:
    """Where the visit stands for one of the patient's side: somebody not yet let in still waits."""
    if visit.state in LIVE and str(actor.id) not in visit.admitted and not is_clinician_of(actor, visit):
        return VisitState.WAITING
    return visit.state


def _open_to(
    model: type[CheckInAnswer] | type[Summary], actor: Actor, now: int, compartments: Iterable[Compartment]
) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                model.compartment == compartment,
                model.patient_id.in_(patients.patient_ids_of(actor, now, compartment)),
            )
            for compartment in compartments
        )
    )
