"""Taking people in: a patient with a sign-in of their own or without, those who act for them, and the way in."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from telepsych.accounts import invitations
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person, RoleGrant
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, Role
from telepsych.core.clock import from_micros
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy, proxies, relations, service, supporters
from telepsych.patients.models import Authority, Patient, Proxy
from telepsych.patients.opening import age_now
from telepsych.patients.proxies import ProxyState

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
        if relations.age_on(birth_date, today) < relations.private_from():
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
    identity: str = "",
    valid_until: int | None = None,
) -> Proxy:
    """Let somebody act for a patient; who signs in here already keeps their sign-in. Raises `Invalid`.

    Supporters come in by the patient's own wish only (`take_in_supporter`).
    """
    work.require(policy.can_register(work.actor, patient_id))
    if relations.grounds()[authority].named_by_patient:
        raise Invalid(fields={"authority": gettext("The patient asks for a supporter on their own page.")})
    if not document.strip():
        raise Invalid(fields={"document": gettext("Please write down which document you saw.")})
    person = _person_for(work, patient_id, name=name, email=email, phone=phone)
    opened = {Compartment.GENERAL} | ({Compartment.CONFIDENTIAL} if opens_confidential else set())
    return proxies.add_proxy(
        work,
        patient_id,
        person.id,
        authority,
        document=document,
        identity=identity,
        compartments=opened,
        valid_until=valid_until,
    )


def take_in_supporter(
    work: Work, patient_id: UUID, request_id: UUID, *, name: str, email: str, phone: str, identity: str
) -> Proxy:
    """Let in the person whom the patient asked for, once it is sure who they are. Raises `Invalid` and `Conflict`."""
    work.require(policy.can_register(work.actor, patient_id))
    person = _person_for(work, patient_id, name=name, email=email, phone=phone)
    return supporters.appoint(work, patient_id, request_id, person.id, identity)


def _person_for(work: Work, patient_id: UUID, *, name: str, email: str, phone: str) -> Person:
    """Whoever signs in with the address, or somebody new. The patient's own address is refused."""
    patient = service.open_patient(work, patient_id)
    accounts.check_address(email)
    person = accounts.find_by_email(work, email)
    if person is None:
        return accounts.add_person(work, name=name, roles={Role.GUARDIAN}, email=email, phone=phone)
    if person.id == patient.person_id:
        raise Invalid(fields={"email": gettext("This is the patient's own address. Each needs one of their own.")})
    if Role.GUARDIAN not in accounts.roles_of(work, person.id):
        work.add(RoleGrant(person_id=person.id, role=Role.GUARDIAN, valid_from=work.now))
        audit.record(work, "role.granted", f"person:{person.id}", purpose="operations", detail={"role": Role.GUARDIAN})
    return person


def invite_patient(work: Work, patient_id: UUID) -> str:
    """Invite a patient to sign in. Returns the token."""
    work.require(policy.can_register(work.actor, patient_id))
    patient = service.open_patient(work, patient_id)
    if patient.person_id is None:
        raise Invalid(gettext("This patient has no e-mail address with us, so there is nobody to invite."))
    return invitations.invite(work, patient.person_id)


def invite_proxy(work: Work, patient_id: UUID, proxy_id: UUID) -> str:
    """Invite somebody who acts for this patient, or will once their identity is checked. Returns the token."""
    work.require(policy.can_register(work.actor, patient_id))
    row = proxies.named(work, patient_id, proxy_id)
    years = age_now(work, service.open_patient(work, patient_id))
    if proxies.state_of(row, years, work.now) not in (ProxyState.AWAITED, ProxyState.HOLDS):
        raise NotFound
    return invitations.invite(work, row.person_id)


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


def person_of(work: Work, email: str) -> Person | None:
    """Who signs in with an address, for those who take people in."""
    work.require(policy.can_register(work.actor))
    return accounts.find_by_email(work, email)
