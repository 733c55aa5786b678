"""Taking people in: a patient with a sign-in of their own or without, those who act for them, and the way in."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import invitations
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person, RoleGrant
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, Role
from telepsych.core.clock import from_micros
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy, service
from telepsych.patients.models import Authority, Patient, Proxy

OWN_SIGN_IN_FROM = 13
"""Years. A younger child's parent or guardian signs in."""
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A patient as a list shows them."""

    id: UUID
    name: str
    called: str
    birth_date: str
    age: int
    has_sign_in: bool


@dataclass(frozen=True, slots=True)
class ActsFor:
    """Somebody who acts for a patient, and whether that holds now."""

    id: UUID
    person: Named
    authority: Authority
    opens_confidential: bool
    document: str
    holds: bool


def take_in(
    work: Work,
    *,
    name: str,
    birth_date: date,
    email: str = "",
    phone: str = "",
    preferred_name: str = "",
    pronouns: str = "",
) -> Patient:
    """Take somebody into care; with an e-mail address they get a sign-in of their own. Raises `Invalid`."""
    work.require(policy.can_register(work.actor))
    person_id = None
    if email.strip():
        accounts.check_address(email)
        today = from_micros(work.now, work.practice.settings.tz).date()
        if birth_date.replace(year=birth_date.year + OWN_SIGN_IN_FROM, day=min(birth_date.day, 28)) > today:
            raise Invalid(fields={"email": gettext("Under 13, a parent or guardian signs in. Leave this empty.")})
        if accounts.find_by_email(work, email):
            raise Invalid(fields={"email": gettext("Somebody already signs in with this e-mail address.")})
        person_id = accounts.add_person(work, name=name, roles={Role.PATIENT}, email=email, phone=phone).id
    return service.add_patient(
        work,
        name=name,
        birth_date=birth_date,
        person_id=person_id,
        preferred_name=preferred_name,
        pronouns=pronouns,
        phone=phone,
        team_id=_team_of_actor(work),
    )


def take_in_guardian(
    work: Work,
    patient_id: UUID,
    *,
    name: str,
    email: str,
    phone: str,
    authority: Authority,
    document: str,
    opens_confidential: bool,
) -> Proxy:
    """Let somebody act for a patient; who signs in here already keeps their sign-in. Raises `Invalid`."""
    work.require(policy.can_register(work.actor))
    patient = service.open_patient(work, patient_id)
    accounts.check_address(email)
    if not document.strip():
        raise Invalid(fields={"document": gettext("Please write down which document you saw.")})
    person = accounts.find_by_email(work, email)
    if person is None:
        person = accounts.add_person(work, name=name, roles={Role.GUARDIAN}, email=email, phone=phone)
    elif person.id == patient.person_id:
        raise Invalid(fields={"email": gettext("This is the patient's own address. Each needs one of their own.")})
    elif Role.GUARDIAN not in accounts.roles_of(work, person.id):
        work.add(RoleGrant(person_id=person.id, role=Role.GUARDIAN, valid_from=work.now))
        audit.record(work, "role.granted", f"person:{person.id}", purpose="operations", detail={"role": Role.GUARDIAN})
    opened = {Compartment.GENERAL} | ({Compartment.CONFIDENTIAL} if opens_confidential else set())
    return service.add_proxy(work, patient_id, person.id, authority, document=document, compartments=opened)


def invite_patient(work: Work, patient_id: UUID) -> str:
    """Invite a patient to sign in. Returns the token."""
    patient = service.open_patient(work, patient_id)
    if patient.person_id is None:
        raise Invalid(gettext("This patient has no e-mail address with us, so there is nobody to invite."))
    return invitations.invite(work, patient.person_id)


def invite_proxy(work: Work, proxy_id: UUID) -> str:
    """Invite somebody who acts for a patient now. Returns the token."""
    return invitations.invite(work, _proxy(work, proxy_id, in_force=True).person_id)


def acting_for(work: Work, patient_id: UUID) -> list[ActsFor]:
    """Everybody who acts or acted for a patient, the newest first."""
    work.require(policy.can_register(work.actor))
    service.open_patient(work, patient_id)
    mine = select(Proxy).where(Proxy.patient_id == patient_id).order_by(Proxy.valid_from.desc(), Proxy.id.desc())
    rows = work.session.scalars(mine).all()
    in_force = policy.proxies_in_force(work.now).where(Proxy.patient_id == patient_id).with_only_columns(Proxy.id)
    holding = set(work.session.scalars(in_force))
    names = accounts.names_of(work, [row.person_id for row in rows])
    return [
        ActsFor(
            row.id,
            names[row.person_id],
            Authority(row.authority),
            row.opens_confidential,
            row.document,
            row.id in holding,
        )
        for row in rows
    ]


def search(work: Work, text: str) -> list[Found]:
    """Patients by part of a name or by birth date, by name; each one shown leaves a look. Names are never indexed."""
    wanted = _words(text)
    zone = work.practice.settings.tz
    hits = [row for row in service.all_patients(work) if all(_fits(row, word) for word in wanted)][:MOST_SHOWN]
    for row in hits:
        audit.look(work, "patient.listed", row.id)
    return [
        Found(
            row.id,
            row.name,
            row.preferred_name,
            row.birth_date,
            service.age(row, work.now, zone),
            row.person_id is not None,
        )
        for row in hits
    ]


def _proxy(work: Work, proxy_id: UUID, *, in_force: bool) -> Proxy:
    known = policy.proxies_in_force(work.now) if in_force else select(Proxy)
    mine = policy.patient_ids_of(work.actor, work.now)
    return work.one(known.where(Proxy.id == proxy_id, Proxy.patient_id.in_(mine)))


def _team_of_actor(work: Work) -> UUID | None:
    """The team of whoever takes the patient in, when the default team is not theirs: they have to see the record."""
    teams = work.actor.teams
    if not teams or accounts.default_team(work) in teams:
        return None
    return min(teams)


def _words(text: str) -> list[str]:
    """The words looked for; a date as people here write it (3/14/1992) becomes an ISO date."""
    words = []
    for word in text.casefold().split():
        parts = word.replace("-", "/").split("/")
        if len(parts) == 3 and all(part.isdigit() for part in parts) and len(parts[2]) == 4:
            word = f"{parts[2]}-{int(parts[0]):02d}-{int(parts[1]):02d}"
        words.append(word)
    return words


def _fits(row: Patient, word: str) -> bool:
    return word == row.birth_date or word in row.name.casefold() or word in row.preferred_name.casefold()


def suspend(work: Work, proxy_id: UUID) -> UUID:
    """End what a proxy may do, at once. Returns the patient's id."""
    proxy = _proxy(work, proxy_id, in_force=False)
    service.suspend_proxy(work, proxy.id)
    return proxy.patient_id


def person_of(work: Work, email: str) -> Person | None:
    """Who signs in with an address, for those who take people in."""
    work.require(policy.can_register(work.actor))
    return accounts.find_by_email(work, email)
