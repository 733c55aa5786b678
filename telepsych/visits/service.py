"""A visit from its booking to its summary: what can happen to it, and who hears of it.

`check_in` holds the questions before it, `room` the people in it, `closing` what comes out of it; other rooms use the
names given here.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID

from telepsych.accounts import service as accounts
from telepsych.appropriateness import service as appropriateness
from telepsych.appropriateness.content import Moment
from telepsych.audit import service as audit
from telepsych.core.clock import MINUTE, to_micros
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.patients import service as patients
from telepsych.questionnaires import service as questionnaires
from telepsych.visits import policy
from telepsych.visits.models import Visit
from telepsych.visits.states import HELD, LIVE, OPEN, Side, VisitState, require_follows, sentence

ADULT = 18
LATE = 5
"""Minutes after the start from which the waiting room says that the visit is late."""
FORMS = ("phq9", "gad7")
FORMS_UNDER_18 = ("asq",)


# Booking


def book(work: Work, appointment_id: UUID, patient_id: UUID, clinician_id: UUID, starts_at: int, minutes: int) -> Visit:
    """Make the visit of an appointment, with everything there is to do before it. Once for each appointment."""
    work.require(policy.may_book(work.actor))
    patient = patients.open_patient(work, patient_id)
    if there := _of_appointment(work, appointment_id):
        return there
    visit = Visit(
        appointment_id=appointment_id,
        patient_id=patient.id,
        clinician_id=clinician_id,
        starts_at=starts_at,
        minutes=minutes,
        state=VisitState.BOOKED,
        created_at=work.now,
    )
    work.add(visit)
    work.session.flush()
    audit.record(work, "visit.booked", f"visit:{visit.id}", patient_id=patient.id)
    _prepare(work, visit, patients.age(patient, work.now, work.practice.settings.tz))
    announce(work, visit)
    return visit


def cancel(work: Work, appointment_id: UUID) -> None:
    """The appointment was cancelled, and its visit with it."""
    work.require(policy.may_book(work.actor))
    visit = _of_appointment(work, appointment_id)
    if visit is None or visit.state not in OPEN:
        return
    move(work, visit, VisitState.CANCELLED)
    audit.record(work, "visit.cancelled", f"visit:{visit.id}", patient_id=visit.patient_id)


def _prepare(work: Work, visit: Visit, age: int) -> None:
    forms = FORMS if age >= ADULT else (*FORMS, *FORMS_UNDER_18)
    questionnaires.assign_suitable(work, visit.patient_id, forms, visit.id)
    medications.open_check_in(work, visit.patient_id, visit.id)
    appropriateness.open_checklist(work, visit.id, visit.patient_id, visit.clinician_id, visit.starts_at)
    appropriateness.evaluate(work, visit.patient_id, Moment.BOOKING, visit.id)


def _of_appointment(work: Work, appointment_id: UUID) -> Visit | None:
    theirs = policy.visits_of(work.actor, work.now).where(Visit.appointment_id == appointment_id)
    return work.session.scalar(theirs)


# Reading


def visit(work: Work, visit_id: UUID) -> Visit:
    """A visit to read. Raises `NotFound` unless the patient's record is open to the actor."""
    found = work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id))
    audit.look(work, "visit.read", found.patient_id)
    return found


def held(work: Work, visit_id: UUID) -> Visit:
    """A visit to change, kept from others until the unit ends."""
    return work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit_id).with_for_update())


def upcoming(work: Work, patient_id: UUID) -> list[Visit]:
    """The patient's visits still to come or going on, the next one first."""
    mine = policy.visits_of(work.actor, work.now).where(
        Visit.patient_id == patient_id,
        Visit.state.in_(OPEN),
        Visit.starts_at > work.now - policy.LATEST,
    )
    return work.all(mine.order_by(Visit.starts_at, Visit.id))


def past(work: Work, patient_id: UUID) -> list[Visit]:
    """The patient's visits that are over, cancelled or missed, the newest first."""
    shown = {visit.id for visit in upcoming(work, patient_id)}
    mine = policy.visits_of(work.actor, work.now).where(Visit.patient_id == patient_id)
    found = work.all(mine.order_by(Visit.starts_at.desc(), Visit.id.desc()))
    return [visit for visit in found if visit.id not in shown]


def of_day(work: Work, clinician_id: UUID | None, day: date) -> list[Visit]:
    """The visits of a day where the practice is: a clinician's, or everybody's the actor may see."""
    zone = work.practice.settings.tz
    first, last = (to_micros(datetime.combine(one, time(0), zone)) for one in (day, day + timedelta(days=1)))
    that_day = policy.visits_of(work.actor, work.now).where(Visit.starts_at >= first, Visit.starts_at < last)
    if clinician_id is not None:
        that_day = that_day.where(Visit.clinician_id == clinician_id)
    return work.all(that_day.order_by(Visit.starts_at, Visit.id))


def last_held(work: Work, patient_id: UUID, before: int) -> Visit | None:
    """The last visit that took place before a moment."""
    earlier = policy.visits_of(work.actor, work.now).where(
        Visit.patient_id == patient_id, Visit.state.in_(HELD), Visit.starts_at < before
    )
    found = work.all(earlier.order_by(Visit.starts_at.desc()).limit(1))
    return found[0] if found else None


def clinician_name(work: Work, visit: Visit) -> str:
    """The name of the visit's clinician."""
    named = accounts.names_of(work, [visit.clinician_id]).get(visit.clinician_id)
    return named.name if named else ""


def sentence_for(work: Work, visit: Visit) -> str:
    """Where the visit stands, in a sentence for whoever asks."""
    if not policy.is_of_the_patient(work.actor, visit):
        return sentence(visit.state, Side.CLINICIAN)
    state = policy.state_for(work.actor, visit)
    words = sentence(state, Side.PATIENT, clinician_name(work, visit))
    late = (work.now - visit.starts_at) // MINUTE
    if state is VisitState.WAITING and visit.admitted_at is None and late >= LATE:
        sorry = gettext("Your visit is %(minutes)s minutes late. We are sorry; you keep your place.")
        return f"{words} {sorry % {'minutes': late}}"
    return words


# What happens to it


def check_in_complete(work: Work, visit: Visit) -> None:
    """Everything before the visit is done."""
    if visit.state is VisitState.BOOKED:
        visit.checked_in_at = work.now
        move(work, visit, VisitState.CHECKED_IN)
        audit.record(work, "visit.checked-in", f"visit:{visit.id}", patient_id=visit.patient_id)


def mark_no_show(work: Work, visit_id: UUID) -> Visit:
    """The patient did not come. Counted, so that the next plan takes it into account."""
    visit = held(work, visit_id)
    work.require(policy.may_note_missed(work.actor, visit, work.now))
    move(work, visit, VisitState.NO_SHOW)
    missed = patients.facts_of(work, visit.patient_id).get("visits.missed_in_row")
    count = (int(missed.value) if missed else 0) + 1
    record(work, visit, {"visits.missed_in_row": count}, source="visit")
    audit.record(work, "visit.missed", f"visit:{visit.id}", patient_id=visit.patient_id)
    appropriateness.evaluate(work, visit.patient_id, Moment.MISSED, visit.id)
    return visit


def move(work: Work, visit: Visit, to: VisitState) -> None:
    """Take a visit to another state and let both sides know. Raises `Conflict` when that can't follow."""
    require_follows(visit.state, to)
    visit.state = to
    announce(work, visit)


def announce(work: Work, visit: Visit) -> None:
    """Tell the people of a visit to look again."""
    work.announce(people_of(work, visit), "visit:news", visit=visit.id, state=visit.state.value)


def people_of(work: Work, visit: Visit) -> frozenset[UUID]:
    """Everybody who may ever take part: the clinician, the patient and who represents them."""
    return patients.people_of(work, visit.patient_id) | {visit.clinician_id}


def record(work: Work, visit: Visit, values: dict[str, object], *, source: str) -> None:
    """Write facts that this visit brought to light."""
    patients.record_facts(work, visit.patient_id, values, source=f"{source}:{visit.id}", about=visit.id)


def names_of(work: Work, people: Iterable[UUID]) -> dict[UUID, str]:
    """What people are called in the room."""
    return {person: named.name for person, named in accounts.names_of(work, people).items()}


def moment_of(visit: Visit) -> Moment:
    """At which moment the rules are asked now."""
    if visit.state in LIVE:
        return Moment.IN_VISIT
    return Moment.ARRIVAL if visit.state is VisitState.WAITING else Moment.CHECK_IN
