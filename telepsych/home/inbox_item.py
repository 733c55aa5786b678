"""One item of the inbox as a page: what it is and what is asked, the talk with the team's notes, facts beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.core.actor import Compartment
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.home.inbox_list import kind_label
from telepsych.messaging import service as messaging
from telepsych.messaging.models import Side
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.scheduling import policy as scheduling_policy
from telepsych.scheduling.models import Appointment, AppointmentState
from telepsych.triage import dispositions, policy
from telepsych.triage import service as triage
from telepsych.triage.models import Happening, ItemKind, WorkItem, WorkItemEvent
from telepsych.triage.priority import Priority
from telepsych.web import dates

SCORES = (("phq9.total", "PHQ-9"), ("gad7.total", "GAD-7"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter or an internal note in the order of time."""

    author: str
    at: int
    body: str
    is_mine: bool = False
    is_note: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an item's history."""

    at: int
    words: str
    detail: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """An item and everything around it."""

    id: UUID
    patient_id: UUID
    name: str
    about: str
    first_name: str
    phone: str
    title: str
    kind: str
    tone: str
    why: tuple[str, ...]
    protocol: str
    clocks: tuple[str, ...]
    is_open: bool
    is_private: bool
    ended: str
    note: str
    is_acknowledged: bool
    wants_acknowledging: bool
    claimed_by: UUID | None
    claimed_name: str
    is_mine: bool
    owner_id: UUID | None
    owner_name: str
    entries: tuple[Entry, ...]
    conversation_id: UUID | None
    up_to: int
    can_write: bool
    dispositions: list[tuple[str, str]]
    people: list[tuple[str, str]]
    history: tuple[Step, ...]
    glance: list[tuple[str, str, str]]

    @property
    def is_anothers(self) -> bool:
        return self.claimed_by is not None and not self.is_mine


def build(work: Work, item_id: UUID) -> ItemPage:
    """The page of one item. Raises `NotFound`."""
    item = triage.open_item(work, item_id)
    patient = patients.open_patient(work, item.patient_id)
    thread = messaging.thread(work, item.about_id) if item.about_kind == "conversation" and item.about_id else None
    happened = triage.history(work, item.id)
    team = accounts.names_of(work, patients.care_team(work, item.patient_id, *policy.readers(item.compartment)))
    names = {**team, **accounts.names_of(work, [item.claimed_by, item.owner_id, *(event.by_id for event in happened)])}
    zone = work.practice.settings.tz
    about = [str(patients.age(patient, work.now, zone)), patient.pronouns]
    return ItemPage(
        id=item.id,
        patient_id=item.patient_id,
        name=patient.name,
        about=" · ".join(filter(None, about)),
        first_name=patients.first_name(patient),
        phone=patient.phone,
        title=_title(item),
        kind=kind_label(item.kind),
        tone=_tone(item),
        why=tuple(item.why),
        protocol=protocol(item),
        clocks=tuple(_clocks(item)),
        is_open=item.is_open,
        is_private=item.compartment is not Compartment.GENERAL,
        ended=dispositions.label(item.disposition) if item.disposition else "",
        note=item.note,
        is_acknowledged=item.acknowledged_at is not None,
        wants_acknowledging=item.is_open and item.acknowledge_by is not None and item.acknowledged_at is None,
        claimed_by=item.claimed_by,
        claimed_name=_name(names, item.claimed_by),
        is_mine=item.claimed_by is not None and item.claimed_by == work.actor.id,
        owner_id=item.owner_id,
        owner_name=_name(names, item.owner_id),
        entries=tuple(_entries(work, thread)) if thread else (),
        conversation_id=thread.conversation_id if thread else None,
        up_to=thread.up_to if thread else 0,
        can_write=thread.can_write if thread else True,
        dispositions=dispositions.choices(item.kind),
        people=sorted(((str(one.id), one.name) for one in team.values()), key=lambda pair: pair[1]),
        history=tuple(_step(event, names) for event in happened),
        glance=glance(work, patient),
    )


def protocol(item: WorkItem) -> str:
    """What is asked of whoever opens it."""
    if item.kind is ItemKind.IN_PERSON:
        return gettext(
            "It stays open until an in-person visit is booked, has taken place, or is declined with a reason."
        )
    return {
        Priority.EMERGENCY: gettext(
            "Call the patient now. If you can't reach them and a life may be in danger, call 911 to their location "
            "and then the emergency contact. Bring in a clinician at once."
        ),
        Priority.URGENT: gettext("A clinician looks at this within the hour. Call the patient if anything is unclear."),
        Priority.SOON: gettext("Answer on the same business day. Ask a clinician before you give advice."),
        Priority.ROUTINE: gettext("Answer by the end of the next business day."),
    }[item.priority]


def _title(item: WorkItem) -> str:
    """What it is; of what cannot wait that is said first, whatever the patient chose as the reason."""
    urgency = {Priority.EMERGENCY: gettext("Emergency: {title}"), Priority.URGENT: gettext("Urgent: {title}")}
    return urgency.get(item.priority, "{title}").format(title=item.title) if item.is_open else item.title


def _tone(item: WorkItem) -> str:
    if not item.is_open:
        return "ok"
    if item.concerns_safety:
        return "danger"
    return "warn" if item.priority is Priority.SOON else "info"


def _clocks(item: WorkItem) -> Iterable[str]:
    labels = {
        Happening.ACKNOWLEDGE_MISSED: gettext("Acknowledge by {time} ({left})"),
        Happening.READ_MISSED: gettext("Read by {time} ({left})"),
        Happening.REPLY_MISSED: gettext("Reply or call by {time} ({left})"),
        Happening.DUE_MISSED: gettext("Due by {time} ({left})"),
    }
    for missed, by in item.running():
        yield labels[missed].format(time=dates.short(by), left=dates.until(by))


def _entries(work: Work, thread: messaging.Thread) -> list[Entry]:
    letters = [
        Entry(_author(one.author), one.sent_at, one.body, one.side is Side.TEAM, status=_status(thread, one))
        for one in thread.letters
    ]
    notes = messaging.notes(work, thread.conversation_id)
    names = accounts.names_of(work, [note.author_id for note in notes])
    kept = [Entry(_name(names, note.author_id), note.written_at, note.body, is_note=True) for note in notes]
    return sorted([*letters, *kept], key=lambda entry: entry.at)


def _status(thread: messaging.Thread, letter: messaging.Letter) -> str:
    if letter.side is not Side.TEAM:
        return ""
    return gettext("Read by the patient") if thread.read_by_patient >= letter.seq else gettext("Delivered")


def _author(author: Named | None) -> str:
    return author.name if author else gettext("Somebody who has left")


def _name(names: dict[UUID, Named], person_id: UUID | None) -> str:
    return names[person_id].name if person_id in names else ""


def _step(event: WorkItemEvent, names: dict[UUID, Named]) -> Step:
    words = _happenings()[event.what]
    who = _name(names, event.by_id) or gettext("The clock")
    return Step(event.at, words.format(name=who), event.detail)


def _happenings() -> dict[Happening, str]:
    return {
        Happening.RAISED: gettext("Raised by what {name} did"),
        Happening.RAISED_AGAIN: gettext("Raised again by what {name} did"),
        Happening.PATIENT_WROTE: gettext("{name} wrote"),
        Happening.READ: gettext("{name} opened it"),
        Happening.ACKNOWLEDGED: gettext("{name} acknowledged it"),
        Happening.CLAIMED: gettext("{name} took it on"),
        Happening.RELEASED: gettext("{name} let it go"),
        Happening.TAKEN_OVER: gettext("{name} took it over"),
        Happening.ASSIGNED: gettext("{name} assigned it"),
        Happening.REPLIED: gettext("{name} replied"),
        Happening.CALLED: gettext("{name} called"),
        Happening.RESOLVED: gettext("{name} resolved it"),
        Happening.ACKNOWLEDGE_MISSED: gettext("Not acknowledged in time; the clinicians were told"),
        Happening.READ_MISSED: gettext("Not read in time; the clinicians were told"),
        Happening.REPLY_MISSED: gettext("Not answered in time; the clinicians were told"),
        Happening.DUE_MISSED: gettext("Past its due date; the clinicians were told"),
    }


# Facts at a glance


def glance(work: Work, patient: Patient) -> list[tuple[str, str, str]]:
    """What somebody needs before they call, as term, value and a small word under it."""
    known = patients.facts_of(work, patient.id)
    lines = [
        (gettext("Phone"), *_phone(patient, known)),
        (gettext("Where they were last"), *_place(known)),
        (gettext("Medicines"), _medicines(known), ""),
        *_scores(work, patient.id, known),
        (gettext("Emergency contact"), *_contact(work, patient.id)),
        (gettext("Next visit"), *_next_visit(work, patient.id)),
    ]
    return [(term, value or gettext("Not known"), note) for term, value, note in lines]


def _phone(patient: Patient, known: dict[str, patients.FactValue]) -> tuple[str, str]:
    agreed = known.get("visit.callback_number")
    if agreed and agreed.value and agreed.value != patient.phone:
        return str(agreed.value), gettext("call-back number; on file: {phone}").format(phone=patient.phone or "–")
    return patient.phone, ""


def _place(known: dict[str, patients.FactValue]) -> tuple[str, str]:
    place = known.get("visit.location")
    if not place or not isinstance(place.value, dict):
        return "", ""
    words = ", ".join(filter(None, [place.value.get("address"), place.value.get("state")]))
    return words, dates.short(place.as_of)


def _medicines(known: dict[str, patients.FactValue]) -> str:
    active = known.get("medicine.active")
    if not active:
        return ""
    return ", ".join(str(one.get("name") or one.get("id")) for one in active.value) or gettext("None on the list")


def _scores(work: Work, patient_id: UUID, known: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    for code, name in SCORES:
        if code in known:
            past = patients.fact_history(work, patient_id, code)
            before = [one for one in past[1:] if one.as_of < past[0].as_of]
            note = dates.short(past[0].as_of)
            if before:
                earlier = gettext("was {score} on {day}")
                note += " · " + earlier.format(score=before[0].value, day=dates.short_day(before[0].as_of))
            yield name, str(past[0].value), note


def _contact(work: Work, patient_id: UUID) -> tuple[str, str]:
    contact = patients.emergency_contact(work, patient_id)
    if contact is None:
        return "", ""
    who = f"{contact.name} ({contact.relationship})" if contact.relationship else contact.name
    stale = gettext("not confirmed for 180 days") if patients.contact_is_stale(contact, work.now) else ""
    return who, " · ".join(filter(None, [contact.phone, stale]))


def _next_visit(work: Work, patient_id: UUID) -> tuple[str, str]:
    booked = scheduling_policy.appointments_of(work.actor, work.now).where(
        Appointment.patient_id == patient_id,
        Appointment.state == AppointmentState.BOOKED,
        Appointment.starts_at > work.now,
    )
    found = work.session.scalars(booked.order_by(Appointment.starts_at).limit(1)).first()
    if found is None:
        return gettext("None booked"), ""
    named = accounts.names_of(work, [found.clinician_id])
    return dates.daytime(found.starts_at), _name(named, found.clinician_id)
