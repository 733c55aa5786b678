"""Supporters: somebody whom the patient wants beside them, with much less than a representative sees.

The patient asks; the practice meets the person, makes sure who they are and hands the invitation over. A supporter is
shown single parts (`relations.Part`) and opens no compartment. The patient takes it back at once, without asking.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy, proxies, relations
from telepsych.patients.models import Authority, Patient, Proxy, SupporterRequest, SupporterState
from telepsych.patients.opening import age_now, open_patient
from telepsych.patients.relations import Part

LONGEST = 200
"""Characters of a name or of how to reach somebody."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish that waits for the practice."""

    id: UUID
    name: str
    contact: str
    relationship: str
    parts: tuple[Part, ...]
    asked_at: int


@dataclass(frozen=True, slots=True)
class Supports:
    """A supporter who has been let in."""

    id: UUID
    name: str
    parts: tuple[Part, ...]
    valid_from: int
    valid_until: int | None


def offered(work: Work, patient: Patient) -> list[Part]:
    """What a patient of this age may share with a supporter."""
    allowed = relations.grounds()[Authority.SUPPORTER].parts_at(age_now(work, patient))
    return [part for part in Part if part in allowed]


def ask(
    work: Work, patient_id: UUID, *, name: str, contact: str, relationship: str, parts: Collection[str]
) -> SupporterRequest:
    """The patient wants somebody beside them. Opens nothing; wakes `supporter.asked`. Raises `Invalid`."""
    work.require(policy.can_ask_for_supporter(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    allowed = [part.value for part in offered(work, patient)]
    typed = {"name": name.strip(), "contact": contact.strip(), "relationship": relationship.strip()}
    faults = _faults(typed, parts, allowed)
    if faults:
        raise Invalid(fields=faults)
    row = SupporterRequest(
        patient_id=patient_id,
        asked_by=work.actor.id,
        asked_at=work.now,
        state=SupporterState.ASKED,
        parts=sorted(set(parts)),
        **typed,
    )
    work.add(row)
    work.session.flush()
    audit.record(work, "supporter.asked", f"supporter-request:{row.id}", patient_id=patient_id)
    adult = age_now(work, patient) >= relations.adult_from()
    compartment = Compartment.GENERAL if adult else Compartment.CONFIDENTIAL
    work.wake("supporter.asked", patient_id=patient_id, request_id=row.id, compartment=compartment)
    return row


def asked(work: Work, patient_id: UUID) -> list[Asked]:
    """The wishes that wait, for the patient themself and for those who take people in."""
    mine = policy.can_ask_for_supporter(work.actor, patient_id)
    work.require(mine if mine else policy.can_register(work.actor, patient_id))
    open_patient(work, patient_id)
    waiting = SupporterRequest.patient_id == patient_id, SupporterRequest.state == SupporterState.ASKED
    rows = work.session.scalars(select(SupporterRequest).where(*waiting).order_by(SupporterRequest.asked_at))
    return [
        Asked(one.id, one.name, one.contact, one.relationship, tuple(map(Part, one.parts)), one.asked_at)
        for one in rows
    ]


def supporters(work: Work, patient_id: UUID) -> list[Supports]:
    """The patient's own list of those they let in, and who still may."""
    work.require(policy.can_ask_for_supporter(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    rows = work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == patient_id)).all()
    years = age_now(work, patient)
    found = [row for row in rows if policy.parts_of(row, years)]
    names = accounts.names_of(work, [row.person_id for row in found])
    return [
        Supports(
            row.id,
            names[row.person_id].name,
            tuple(sorted(policy.parts_of(row, years))),
            row.valid_from,
            proxies.ends_at(work, patient, row),
        )
        for row in found
    ]


def take_back_wish(work: Work, patient_id: UUID, request_id: UUID) -> None:
    """The patient changes their mind before anything came of it."""
    work.require(policy.can_ask_for_supporter(work.actor, patient_id))
    _settle(work, _request(work, patient_id, request_id), SupporterState.TAKEN_BACK)


def decline(work: Work, patient_id: UUID, request_id: UUID) -> None:
    """Staff could not make sure who the person is, or they did not want to."""
    work.require(policy.can_register(work.actor, patient_id))
    _settle(work, _request(work, patient_id, request_id), SupporterState.DECLINED)


def appoint(work: Work, patient_id: UUID, request_id: UUID, person_id: UUID, identity: str) -> Proxy:
    """Make the person a supporter, with what the patient named. The identity check is part of it."""
    work.require(policy.can_register(work.actor, patient_id))
    if not identity.strip():
        raise Invalid(fields={"identity": gettext("Please write down how you made sure who they are.")})
    row = _request(work, patient_id, request_id)
    proxy = proxies.add_proxy(
        work,
        patient_id,
        person_id,
        Authority.SUPPORTER,
        document=gettext("The patient's own request"),
        identity=identity,
        compartments=(),
        parts=tuple(map(Part, row.parts)),
    )
    row.proxy_id = proxy.id
    _settle(work, row, SupporterState.TAKEN_UP)
    return proxy


def revoke(work: Work, patient_id: UUID, proxy_id: UUID) -> None:
    """The patient ends a supporter's access at once."""
    row = proxies.named(work, patient_id, proxy_id)
    work.require(policy.can_end_supporter(work.actor, row))
    if row.valid_until is None or row.valid_until > work.now:
        proxies.end_now(work, row, "")


def _request(work: Work, patient_id: UUID, request_id: UUID) -> SupporterRequest:
    mine = SupporterRequest.id == request_id, SupporterRequest.patient_id == patient_id
    open_to_me = SupporterRequest.patient_id.in_(policy.patient_ids_of(work.actor, work.now))
    row = work.one(select(SupporterRequest).where(*mine, open_to_me))
    if row.state is not SupporterState.ASKED:
        raise Conflict(gettext("This request was answered already."))
    return row


def _settle(work: Work, row: SupporterRequest, state: SupporterState) -> None:
    row.state, row.settled_at, row.settled_by = state, work.now, work.actor.id
    about = f"supporter-request:{row.id}"
    audit.record(work, f"supporter.{state}", about, patient_id=row.patient_id)


def _faults(typed: dict[str, str], parts: Collection[str], allowed: Collection[str]) -> dict[str, str]:
    faults = {}
    if not typed["name"]:
        faults["name"] = gettext("Please give a name.")
    if not typed["contact"]:
        faults["contact"] = gettext("Please tell us how we reach them.")
    if any(len(text) > LONGEST for text in typed.values()):
        faults["name"] = gettext("Please keep it short.")
    if not parts or not set(parts) <= set(allowed):
        faults["parts"] = gettext("Please choose what they may see.")
    return faults
