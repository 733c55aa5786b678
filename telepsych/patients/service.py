"""People in care: taking them in, whom to call, what they signed. Facts are in `ledger`, who is tied to them in `ties`,
who may act for them in `proxies`, who cares for them in `care_teams`."""

from datetime import date
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, Decision, Relation
from telepsych.core.clock import DAY, local_date
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import addresses, consent_content, policy, relations
from telepsych.patients.consent_content import Consent, Signer
from telepsych.patients.ledger import FactValue, fact_history, facts_of, record_facts
from telepsych.patients.models import CareTeam, ConsentSignature, EmergencyContact, Patient
from telepsych.patients.opening import age, age_now, first_name, open_patient
from telepsych.patients.proxies import add_proxy, suspend_proxy
from telepsych.patients.ties import actor_for, care_team, names_of, people_of, represented_by, supporters_of, team_of

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
    "missing_signers",
    "my_patient",
    "my_signer",
    "names_of",
    "open_patient",
    "patient_of_person",
    "people_of",
    "record_facts",
    "represented_by",
    "set_emergency_contact",
    "sign_consent",
    "signatures",
    "supporters_of",
    "suspend_proxy",
    "team_of",
    "update_contact",
    "withdraw_consent",
]

STALE_AFTER = 180 * DAY
"""How long an emergency contact counts without being confirmed."""


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
    work.require(policy.can_register(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    if patient.person_id not in (None, person_id):
        raise Conflict(gettext("This patient already signs in with another address."))
    if age_now(work, patient) < relations.private_from():
        raise Conflict(gettext("Under 13, a parent or guardian signs in."))
    patient.person_id = person_id
    work.session.flush()
    addresses.refuse_shared(work, patient_id)
    audit.record(work, "patient.linked", f"patient:{patient_id}", patient_id=patient_id)


def update_contact(work: Work, patient_id: UUID, *, phone: str, preferred_name: str) -> Patient:
    """Change how a patient is reached and called."""
    patient = open_patient(work, patient_id)
    may = bool(policy.can_coordinate(work.actor)) or bool(policy.can_write_as_patient(work.actor, patient_id))
    work.require(Decision(may))
    patient.phone, patient.preferred_name = phone.strip(), preferred_name.strip()
    addresses.refuse_shared(work, patient_id)
    audit.record(work, "patient.contact-changed", f"patient:{patient_id}", patient_id=patient_id)
    return patient


def all_patients(work: Work) -> list[Patient]:
    """Every patient in the actor's care, by name."""
    work.require(policy.can_coordinate(work.actor))
    others = Patient.id.not_in(work.actor.relatives)
    rows = work.all(policy.patients_of(work.actor, work.now).where(Patient.left_at.is_(None), others))
    return sorted(rows, key=lambda row: row.name.casefold())


def patient_of_person(work: Work, person_id: UUID) -> Patient | None:
    """The record of a person who is a patient here."""
    return work.session.scalar(select(Patient).where(Patient.person_id == person_id))


def my_patient(work: Work, patient_id: UUID | None = None) -> Patient:
    """The record a patient's or guardian's page is about: the one named, else their own, else the only one.

    Raises `NotFound` when there is none, or several and none named.
    """
    personal = [tie for tie in work.actor.ties if tie.relation is not Relation.BREAK_GLASS]
    open_ones = [tie.patient_id for tie in personal if Compartment.GENERAL in tie.compartments]
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


def _check_identity(work: Work, name: str, birth_date: date) -> None:
    faults = {}
    today = local_date(work.now, work.practice.settings.tz)
    if not name.strip():
        faults["name"] = gettext("Please give a name.")
    if birth_date > today or today.year - birth_date.year > 125:
        faults["birth_date"] = gettext("Please check the birth date.")
    if faults:
        raise Invalid(fields=faults)


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
    if len(addresses.digits(phone)) < 10:
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
    years = age_now(work, patient)
    text = consent_content.in_force("telehealth", local_date(work.now, work.practice.settings.tz))
    allowed = {who for signer in consent_content.signers_for(text, years) for who in (signer.who, *signer.or_by)}
    work.require(Decision(capacity in allowed, gettext("Your signature is not asked for here.")))
    if consent_content.digest(text, years) != text_digest:
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
    """Who has still to sign: `patient`, `guardian`. Whoever the text allows in a patient's place counts for them.

    What a young person signed does not bind the adult: at 18 they are asked anew.
    """
    zone = work.practice.settings.tz
    text = consent_content.in_force(kind, local_date(work.now, zone))
    patient = open_patient(work, patient_id)
    signed = {row.capacity for row in signatures(work, patient_id) if _stands(work, patient, row, text)}
    needed = consent_content.signers_for(text, age_now(work, patient))
    return [signer.who for signer in needed if signed.isdisjoint({signer.who, *signer.or_by})]


def my_signer(work: Work, patient_id: UUID, kind: str = "telehealth") -> tuple[Signer, str] | None:
    """Whose place among the signers the actor takes now, and in which capacity; None when their signature is not asked
    for. An open place comes first."""
    text = consent_content.in_force(kind, local_date(work.now, work.practice.settings.tz))
    patient = open_patient(work, patient_id)
    mine = policy.capacities_of(work.actor, patient_id)
    missing = missing_signers(work, patient_id, kind)
    needed = consent_content.signers_for(text, age_now(work, patient))
    for signer in sorted(needed, key=lambda one: one.who not in missing):
        if fitting := mine & {signer.who, *signer.or_by}:
            return signer, signer.who if signer.who in fitting else min(fitting)
    return None


def _stands(work: Work, patient: Patient, row: ConsentSignature, text: Consent) -> bool:
    if row.withdrawn_at is not None or row.text.get("id") != text.id:
        return False
    zone, adult = work.practice.settings.tz, relations.adult_from()
    if (age(patient, row.signed_at, zone) >= adult) != (age_now(work, patient) >= adult):
        return False
    signed_on, today = local_date(row.signed_at, zone), local_date(work.now, zone)
    return consent_content.signature_holds(text, row.text["version"], signed_on, today)
