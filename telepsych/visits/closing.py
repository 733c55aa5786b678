"""What comes out of a visit: the summary in plain words, and what the next plan has to know."""

from collections.abc import Mapping
from uuid import UUID

from telepsych.appropriateness import service as appropriateness
from telepsych.appropriateness.content import Level, Moment
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.notifications import service as notifications
from telepsych.patients import service as patients
from telepsych.visits import check_in, policy, service
from telepsych.visits.models import Summary, Visit
from telepsych.visits.states import VisitState

FIELDS = ("decisions", "medicines", "next_step", "next_visit", "in_person", "whom_to_call")
NEEDED = ("decisions", "next_step", "whom_to_call")
LONGEST = 4_000


def suggestions(work: Work, visit: Visit) -> dict[str, str]:
    """What the form of a summary begins with: what is known already, in words the clinician may change."""
    since = visit.admitted_at or visit.starts_at
    changes = medications.changes_since(work, visit.patient_id, since)
    return {
        "decisions": "",
        "medicines": "\n".join(change.words for change in changes),
        "next_step": "",
        "next_visit": "",
        "in_person": in_person_words(work, visit),
        "whom_to_call": whom_to_call_words(work),
    }


def in_person_words(work: Work, visit: Visit) -> str:
    """The in-person recommendation as it stands, for the patient: decided by the clinician, else as recommended."""
    decided = appropriateness.decisions(work, visit.id)
    snapshot = appropriateness.latest(work, visit.id)
    level = Level(decided[0].level) if decided else (snapshot.level if snapshot else Level.L1)
    if level.rank < Level.L2.rank:
        return ""
    if level is Level.L2:
        days = snapshot.days if snapshot and snapshot.days else 0
        if days:
            return gettext("Please come in to see us in person within %(days)s days.") % {"days": days}
        return gettext("Please come in to see us in person.")
    if level is Level.L3:
        return gettext("Please come in to be seen in person today.")
    return gettext("You need to be seen right away. Please call 911 or go to the nearest emergency room.")


def whom_to_call_words(work: Work) -> str:
    """The usual words about whom to call."""
    phone = work.practice.settings.practice_phone
    return gettext(
        "Call us at %(phone)s with questions about your medicines. In a crisis call or text 988, in an emergency 911."
    ) % {"phone": phone}


def summarise(work: Work, visit_id: UUID, texts: Mapping[str, str], *, private: bool = False) -> Summary:
    """Give the patient their summary; again puts a corrected one in its place.

    `private` keeps a young person's summary from whoever represents them. Raises `Invalid` naming what is missing.
    """
    visit = service.held(work, visit_id)
    work.require(policy.may_summarise(work.actor, visit))
    taken = _checked(texts)
    summary = summary_of(work, visit)
    if summary is None:
        summary = _new(work, visit, private)
    for name, text in taken.items():
        setattr(summary, name, text)
    summary.written_at = work.now
    audit.record(work, "visit.summarised", f"visit:{visit.id}", patient_id=visit.patient_id)
    if visit.state is VisitState.ENDED:
        service.move(work, visit, VisitState.SUMMARISED)
        appropriateness.evaluate(work, visit.patient_id, Moment.CLOSE, visit.id)
    people = patients.people_of(work, visit.patient_id, summary.compartment)
    notifications.notify(work, people, "visit-changed")
    return summary


def summary_of(work: Work, visit: Visit) -> Summary | None:
    """The summary of a visit, where it is open to the actor."""
    found = work.all(policy.summaries_of(work.actor, work.now).where(Summary.visit_id == visit.id))
    return found[0] if found else None


def open_summary(work: Work, visit_id: UUID) -> tuple[Visit, Summary]:
    """A summary to read. Raises `NotFound` while there is none, or for somebody it is not open to."""
    visit = service.visit(work, visit_id)
    summary = work.one(policy.summaries_of(work.actor, work.now).where(Summary.visit_id == visit.id))
    audit.look(work, "summary.read", visit.patient_id)
    return visit, summary


def summaries(work: Work, patient_id: UUID) -> list[Summary]:
    """Every summary of a patient that is open to the actor, the newest first."""
    mine = policy.summaries_of(work.actor, work.now).where(Summary.patient_id == patient_id)
    audit.look(work, "summary.read", patient_id)
    return work.all(mine.order_by(Summary.written_at.desc()))


def has_summary(work: Work, visits: list[Visit]) -> frozenset[UUID]:
    """Which of these visits have a summary open to the actor."""
    ids = [visit.id for visit in visits]
    mine = policy.summaries_of(work.actor, work.now).where(Summary.visit_id.in_(ids))
    work.asked = True
    return frozenset(work.session.scalars(mine.with_only_columns(Summary.visit_id)))


def may_be_private(work: Work, visit: Visit) -> bool:
    """Whether the summary may be kept to the patient: a young person's who signs in."""
    patient = patients.open_patient(work, visit.patient_id)
    return patient.person_id is not None and check_in.is_minor(work, patient)


def _new(work: Work, visit: Visit, private: bool) -> Summary:
    kept = private and may_be_private(work, visit)
    row = Summary(
        visit_id=visit.id,
        patient_id=visit.patient_id,
        compartment=Compartment.CONFIDENTIAL if kept else Compartment.GENERAL,
        written_by=work.actor.id,
        written_at=work.now,
    )
    return work.add(row)


def _checked(texts: Mapping[str, str]) -> dict[str, str]:
    taken = {name: texts.get(name, "").strip() for name in FIELDS}
    problems = {name: gettext("Please write a sentence the patient understands.") for name in NEEDED if not taken[name]}
    long = gettext("Please keep this under 4,000 characters.")
    problems |= {name: long for name, text in taken.items() if len(text) > LONGEST}
    if problems:
        raise Invalid(fields=problems)
    return taken
