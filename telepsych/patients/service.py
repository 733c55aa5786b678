"""People in care: taking them in, who may act for them, whom to call, what they signed. Facts are in `ledger`."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role, Tie
from telepsych.core.clock import DAY, local_date
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import consent_content, policy
from telepsych.patients.ledger import FactValue, fact_history, facts_of, record_facts
from telepsych.patients.models import Authority, CareTeam, ConsentSignature, EmergencyContact, Patient, Proxy

__all__ = [
    "FactValue",
    "actor_for",
    "add_patient",
    "add_proxy",
    "age",
    "care_team",
    "consent_in_force",
    "contact_is_stale",
    "emergency_contact",
    "fact_history",
    "facts_of",
    "first_name",
    "link_person",
    "my_patient",
    "open_patient",
    "patient_of_person",
    "people_of",
    "record_facts",
    "represented_by",
    "set_emergency_contact",
    "sign_consent",
    "signatures",
    "suspend_proxy",
    "team_of",
    "update_contact",
    "withdraw_consent",
]

STALE_AFTER = 180 * DAY
"""How long an emergency contact counts without being confirmed."""
SELF_OPENS = frozenset({Compartment.GENERAL, Compartment.CONFIDENTIAL})


# Identity


def add_patient(
    work: Work,
    *,
    name: str,
    birth_date: date,
    person_id: UUID | None = None,
    preferred_name: str = "",
    pronouns: str = "",
    phone: str = "",
    language: str = "en",
    team_id: UUID | None = None,
) -> Patient:
    """Take somebody into care, in the care of a team (the default one if none is named)."""
    work.require(policy.can_register(work.actor))
    _check_identity(work, name, birth_date)
    patient = Patient(
        person_id=person_id,
        created_at=work.now,
        name=name.strip(),
        preferred_name=preferred_name.strip(),
        birth_date=birth_date.isoformat(),
        pronouns=pronouns.strip(),
        phone=phone.strip(),
        language=language,
    )
    work.add(patient)
    work.session.flush()
    team = team_id or accounts.default_team(work)
    work.add(CareTeam(patient_id=patient.id, team_id=team, valid_from=work.now))
    audit.record(work, "patient.added", f"patient:{patient.id}", patient_id=patient.id)
    return patient


def link_person(work: Work, patient_id: UUID, person_id: UUID) -> None:
    """Give a patient their own sign-in. Raises `Conflict` when they have one."""
    work.require(policy.can_register(work.actor))
    patient = open_patient(work, patient_id)
    if patient.person_id not in (None, person_id):
        raise Conflict(gettext("This patient already signs in with another address."))
    patient.person_id = person_id
    audit.record(work, "patient.linked", f"patient:{patient_id}", patient_id=patient_id)


def update_contact(work: Work, patient_id: UUID, *, phone: str, preferred_name: str) -> Patient:
    """Change how a patient is reached and called."""
    patient = open_patient(work, patient_id)
    may = bool(policy.can_coordinate(work.actor)) or bool(policy.can_write_as_patient(work.actor, patient_id))
    work.require(Decision(may))
    patient.phone, patient.preferred_name = phone.strip(), preferred_name.strip()
    audit.record(work, "patient.contact-changed", f"patient:{patient_id}", patient_id=patient_id)
    return patient


def open_patient(work: Work, patient_id: UUID, compartment: Compartment = Compartment.GENERAL) -> Patient:
    """A patient whose record is open to the actor, with a look in the audit. Raises `NotFound`."""
    patient = work.one(policy.patients_of(work.actor, work.now, compartment).where(Patient.id == patient_id))
    audit.look(work, "patient.read", patient_id)
    return patient


def all_patients(work: Work) -> list[Patient]:
    """Every patient open to the actor, by name."""
    work.require(policy.can_coordinate(work.actor))
    rows = work.all(policy.patients_of(work.actor, work.now).where(Patient.left_at.is_(None)))
    return sorted(rows, key=lambda row: row.name.casefold())


def patient_of_person(work: Work, person_id: UUID) -> Patient | None:
    """The record of a person who is a patient here."""
    return work.session.scalar(select(Patient).where(Patient.person_id == person_id))


def represented_by(work: Work, person_id: UUID) -> list[Patient]:
    """The patients a person may act for now, by name."""
    mine = policy.proxies_in_force(work.now).where(Proxy.person_id == person_id).with_only_columns(Proxy.patient_id)
    rows = work.session.scalars(select(Patient).where(Patient.id.in_(mine)))
    return sorted(rows, key=lambda row: row.name)


def my_patient(work: Work, patient_id: UUID | None = None) -> Patient:
    """The record a patient's or guardian's page is about: the one named, else their own, else the only one.

    Raises `NotFound` when there is none, or several and none named.
    """
    open_ones = [tie.patient_id for tie in work.actor.ties if Compartment.GENERAL in tie.compartments]
    if patient_id is None:
        own = [tie.patient_id for tie in work.actor.ties if tie.relation is Relation.SELF]
        chosen = own or open_ones
        work.asked = True
        if len(chosen) != 1:
            raise NotFound
        patient_id = chosen[0]
    if patient_id not in open_ones:
        work.asked = True
        raise NotFound
    return open_patient(work, patient_id)


def age(patient: Patient, now: int, zone: ZoneInfo) -> int:
    """Completed years on the practice's local date."""
    born, today = date.fromisoformat(patient.birth_date), local_date(now, zone)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def first_name(patient: Patient) -> str:
    """What to call a patient."""
    return patient.preferred_name or patient.name.split()[0]


def _check_identity(work: Work, name: str, birth_date: date) -> None:
    faults = {}
    today = local_date(work.now, work.practice.settings.tz)
    if not name.strip():
        faults["name"] = gettext("Please give a name.")
    if birth_date > today or today.year - birth_date.year > 125:
        faults["birth_date"] = gettext("Please check the birth date.")
    if faults:
        raise Invalid(fields=faults)


# Relations


def add_proxy(
    work: Work,
    patient_id: UUID,
    person_id: UUID,
    authority: Authority,
    *,
    document: str = "",
    compartments: Collection[Compartment] = frozenset({Compartment.GENERAL}),
    valid_until: int | None = None,
) -> Proxy:
    """Let a person act for a patient, in these compartments.

    Raises `Conflict` when both share an e-mail address or telephone: a young person's private space would be open then.
    """
    work.require(policy.can_register(work.actor))
    patient = open_patient(work, patient_id)
    _refuse_shared_address(work, patient, work.session.get_one(Person, person_id))
    proxy = Proxy(
        patient_id=patient_id,
        person_id=person_id,
        authority=authority.value,
        opens_general=Compartment.GENERAL in compartments,
        opens_confidential=Compartment.CONFIDENTIAL in compartments,
        valid_from=work.now,
        valid_until=valid_until,
        document=document.strip(),
    )
    work.add(proxy)
    audit.record(work, "proxy.added", f"proxy:{proxy.id}", patient_id=patient_id, detail={"authority": authority})
    return proxy


def suspend_proxy(work: Work, proxy_id: UUID) -> None:
    """End what a proxy may do, at once."""
    work.require(policy.can_register(work.actor))
    proxy = work.one(select(Proxy).where(Proxy.id == proxy_id))
    open_patient(work, proxy.patient_id)
    proxy.suspended_at = work.now
    audit.record(work, "proxy.suspended", f"proxy:{proxy_id}", patient_id=proxy.patient_id)


def _refuse_shared_address(work: Work, patient: Patient, person: Person) -> None:
    own = work.session.get(Person, patient.person_id) if patient.person_id else None
    digits = [_digits(text) for text in (patient.phone, own.phone if own else "")]
    same_email = own is not None and bool(own.email) and own.email.casefold() == person.email.casefold()
    if same_email or (_digits(person.phone) and _digits(person.phone) in digits):
        raise Conflict(gettext("The patient and this person need an e-mail address and a phone number of their own."))


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())[-10:]


def team_of(work: Work, patient_id: UUID) -> frozenset[UUID]:
    """The teams that care for a patient now."""
    caring = select(CareTeam.team_id).where(
        CareTeam.patient_id == patient_id,
        CareTeam.valid_from <= work.now,
        or_(CareTeam.valid_until.is_(None), CareTeam.valid_until > work.now),
    )
    return frozenset(work.session.scalars(caring))


def care_team(work: Work, patient_id: UUID, *roles: Role) -> frozenset[UUID]:
    """The people of a patient's teams now, of these roles if any are given."""
    return accounts.members_of(work, team_of(work, patient_id), *roles)


def people_of(work: Work, patient_id: UUID, compartment: Compartment = Compartment.GENERAL) -> frozenset[UUID]:
    """Who signs in for a patient: the patient, and proxies whose scope opens the compartment."""
    proxies = work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == patient_id))
    people = {proxy.person_id for proxy in proxies if compartment in proxy.compartments}
    own = work.session.scalar(select(Patient.person_id).where(Patient.id == patient_id))
    return frozenset(people | ({own} if own and compartment in SELF_OPENS else set()))


def actor_for(work: Work, person_id: UUID, session_id: UUID | None = None, factor_at: int | None = None) -> Actor:
    """A person as an actor, with the roles, teams and ties in force now."""
    own = work.session.scalars(select(Patient.id).where(Patient.person_id == person_id))
    ties = [Tie(patient_id, Relation.SELF, SELF_OPENS) for patient_id in own]
    for proxy in work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.person_id == person_id)):
        ties.append(Tie(proxy.patient_id, Relation.PROXY, proxy.compartments))
    actor = accounts.actor_of(work, person_id, session_id)
    return replace(actor, ties=tuple(ties), factor_at=factor_at)


# Emergency contact and consent


def emergency_contact(work: Work, patient_id: UUID) -> EmergencyContact | None:
    """Whom to call, if known."""
    open_patient(work, patient_id)
    return work.session.scalar(select(EmergencyContact).where(EmergencyContact.patient_id == patient_id))


def set_emergency_contact(
    work: Work, patient_id: UUID, *, name: str, relationship: str, phone: str
) -> EmergencyContact:
    """Keep or confirm whom to call. Raises `Invalid` naming what is missing."""
    may = bool(policy.can_coordinate(work.actor)) or bool(policy.can_write_as_patient(work.actor, patient_id))
    work.require(Decision(may))
    faults = {}
    if not name.strip():
        faults["name"] = gettext("Please give a name.")
    if len(_digits(phone)) < 10:
        faults["phone"] = gettext("Please give a phone number with its area code.")
    if faults:
        raise Invalid(fields=faults)
    contact = emergency_contact(work, patient_id)
    if contact is None:
        contact = work.add(EmergencyContact(patient_id=patient_id, confirmed_at=work.now))
    contact.name, contact.relationship, contact.phone = name.strip(), relationship.strip(), phone.strip()
    contact.confirmed_at = work.now
    record_facts(work, patient_id, {"emergency_contact.present": True}, source="emergency-contact")
    audit.record(work, "emergency-contact.set", f"patient:{patient_id}", patient_id=patient_id)
    return contact


def contact_is_stale(contact: EmergencyContact | None, now: int) -> bool:
    """Whether it has to be asked for again: none, or not confirmed in 180 days."""
    return contact is None or now - contact.confirmed_at >= STALE_AFTER


def sign_consent(
    work: Work, patient_id: UUID, *, signer_name: str, capacity: str, answers: dict[str, str], text_digest: str
) -> ConsentSignature:
    """Sign the telehealth consent in force. Raises `Conflict` when another text was shown than the one in force."""
    work.require(policy.can_write_as_patient(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    if not signer_name.strip():
        raise Invalid(fields={"signer_name": gettext("Please type your name to sign.")})
    work.require(policy.can_sign_as(work.actor, patient_id, capacity))
    zone = work.practice.settings.tz
    text = consent_content.in_force("telehealth", local_date(work.now, zone))
    if consent_content.digest(text, age(patient, work.now, zone)) != text_digest:
        raise Conflict(gettext("The text has changed since you opened it. Please read it again before you sign."))
    row = ConsentSignature(
        patient_id=patient_id,
        signer_id=work.actor.id,
        signed_at=work.now,
        text_digest=bytes.fromhex(text_digest),
        text={"kind": text.kind, "id": text.id, "version": text.version, "language": text.language},
        signer_name=signer_name.strip(),
        capacity=capacity,
        answers=answers,
    )
    work.add(row)
    work.session.flush()
    audit.record(work, "consent.signed", f"consent:{row.id}", patient_id=patient_id)
    in_force = consent_in_force(work, patient_id)
    record_facts(work, patient_id, {"consent.telehealth": in_force}, source="consent")
    return row


def withdraw_consent(work: Work, patient_id: UUID) -> int:
    """Take one's own signatures back; it counts from this moment. Returns how many. The signed text stays on record."""
    work.require(policy.can_write_as_patient(work.actor, patient_id))
    mine = [row for row in signatures(work, patient_id) if row.signer_id == work.actor.id and row.withdrawn_at is None]
    for row in mine:
        row.withdrawn_at = work.now
        audit.record(work, "consent.withdrawn", f"consent:{row.id}", patient_id=patient_id)
    if mine:
        work.session.flush()
        in_force = consent_in_force(work, patient_id)
        record_facts(work, patient_id, {"consent.telehealth": in_force}, source="consent")
    return len(mine)


def signatures(work: Work, patient_id: UUID) -> list[ConsentSignature]:
    """Every signature, the newest first."""
    open_patient(work, patient_id)
    mine = select(ConsentSignature).where(ConsentSignature.patient_id == patient_id)
    return list(work.session.scalars(mine.order_by(ConsentSignature.signed_at.desc())))


def consent_in_force(work: Work, patient_id: UUID, kind: str = "telehealth") -> bool:
    """Whether everyone who has to sign the text in force has signed it, and no signature is too old."""
    return not missing_signers(work, patient_id, kind)


def missing_signers(work: Work, patient_id: UUID, kind: str = "telehealth") -> list[str]:
    """Who has still to sign: `patient`, `guardian`."""
    zone = work.practice.settings.tz
    today = local_date(work.now, zone)
    text = consent_content.in_force(kind, today)
    patient = open_patient(work, patient_id)
    signed = {
        row.capacity
        for row in signatures(work, patient_id)
        if row.withdrawn_at is None
        and row.text.get("id") == text.id
        and consent_content.signature_holds(text, row.text["version"], local_date(row.signed_at, zone), today)
    }
    needed = [signer.who for signer in consent_content.signers_for(text, age(patient, work.now, zone))]
    return [who for who in needed if who not in signed]
