"""The person in care: identity, who may act for them, who cares for them, what they signed, and what is known."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.columns import digest, flag, key, moment, opaque, ref, small, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope, practice_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Patient(Sealed, Base):
    """Somebody in care. They need not sign in: a child under 13, or a person who prefers the telephone."""

    __tablename__ = "patient"

    id = key()
    person_id: Mapped[UUID | None] = opaque(optional=True, unique=True)
    """Their own sign-in, if they have one."""
    created_at: Mapped[int] = moment()
    left_at: Mapped[int | None] = moment(optional=True)
    """When they were last treated, once they are in care here no more."""
    destroyed_at: Mapped[int | None] = moment(optional=True)
    """When the keys of their record were destroyed: nothing of it opens any more."""
    name: SealedField[str] = sealed_text()
    preferred_name: SealedField[str] = sealed_text()
    birth_date: SealedField[str] = sealed_text()
    """ISO date."""
    pronouns: SealedField[str] = sealed_text()
    phone: SealedField[str] = sealed_text()
    language: SealedField[str] = sealed_text("en")
    died_on: SealedField[str] = sealed_text()
    """ISO date, if the practice knows of it."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.id)


class CareTeam(Base):
    """A team that cares for a patient for a while."""

    __tablename__ = "care_team"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    team_id: Mapped[UUID] = ref("team.id")
    valid_from: Mapped[int] = moment()
    valid_until: Mapped[int | None] = moment(optional=True)


class Authority(StrEnum):
    """On what ground somebody may act for a patient."""

    PARENT = "parent"
    SOLE_CUSTODY = "sole-custody"
    PROBATE_GUARDIAN = "probate-guardian"
    DCF = "dcf"
    CONSERVATOR = "conservator"
    HEALTHCARE_REPRESENTATIVE = "healthcare-representative"
    SUPPORTER = "supporter"


class Proxy(Sealed, Base):
    """A person who may see and do something for a patient: on what ground, in which compartments, and until when."""

    __tablename__ = "proxy"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    person_id: Mapped[UUID] = ref("person.id")
    opens_general: Mapped[bool] = flag(default=True)
    opens_confidential: Mapped[bool] = flag()
    valid_from: Mapped[int] = moment()
    valid_until: Mapped[int | None] = moment(optional=True)
    suspended_at: Mapped[int | None] = moment(optional=True)
    identity_due: Mapped[int | None] = moment(optional=True)
    """Since when their identity check is awaited; empty once it is done. Nothing is open before."""
    identity_at: Mapped[int | None] = moment(optional=True)
    identity_by: Mapped[UUID | None] = opaque(optional=True)
    seen_at: Mapped[int | None] = moment(optional=True)
    """When the document was last seen, and by whom."""
    seen_by: Mapped[UUID | None] = opaque(optional=True)
    review_told_at: Mapped[int | None] = moment(optional=True)
    """When staff were last asked to look at the document again."""
    authority: SealedField[str] = sealed_text()
    """An `Authority`: that somebody has a conservator is health information."""
    document: SealedField[str] = sealed_text()
    """What was seen that shows the authority."""
    identity: SealedField[str] = sealed_text()
    """How it was made sure who they are."""
    parts: SealedField[list[str]] = sealed_json([])
    """What a supporter is shown (`relations.Part`); empty for everybody else."""
    note: SealedField[str] = sealed_text()
    """Why it was suspended or ended. For staff; never shown to the proxy."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def compartments(self) -> frozenset[Compartment]:
        """The compartments asked for; what is open now is narrower with age (`policy.reach_of`)."""
        opened = {Compartment.GENERAL: self.opens_general, Compartment.CONFIDENTIAL: self.opens_confidential}
        return frozenset(one for one, is_open in opened.items() if is_open)


class SupporterState(StrEnum):
    """What has become of a patient's wish for a supporter."""

    ASKED = "asked"
    TAKEN_UP = "taken-up"
    """Staff know who it is and made them a supporter."""
    DECLINED = "declined"
    TAKEN_BACK = "taken-back"


class SupporterRequest(Sealed, Base):
    """A patient's own wish that somebody may support them. It opens nothing: staff have to meet the person first."""

    __tablename__ = "supporter_request"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    asked_by: Mapped[UUID] = opaque()
    asked_at: Mapped[int] = moment()
    state: Mapped[SupporterState] = state(SupporterState)
    settled_at: Mapped[int | None] = moment(optional=True)
    settled_by: Mapped[UUID | None] = opaque(optional=True)
    proxy_id: Mapped[UUID | None] = opaque(optional=True)
    name: SealedField[str] = sealed_text()
    contact: SealedField[str] = sealed_text()
    """How the practice reaches them, in the patient's words."""
    relationship: SealedField[str] = sealed_text()
    parts: SealedField[list[str]] = sealed_json([])

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class AgeNotice(Base):
    """That a step of growing up was announced, or has happened: each is said once."""

    __tablename__ = "age_notice"
    __table_args__ = (UniqueConstraint("patient_id", "age", "days"),)

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    age: Mapped[int] = small()
    days: Mapped[int] = small()
    """How many days before it was said; 0 on the day itself."""
    at: Mapped[int] = moment()


class BreakGlass(Sealed, Base):
    """One emergency access: who opened whose record, until when, and why."""

    __tablename__ = "break_glass"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    person_id: Mapped[UUID] = ref("person.id")
    opened_at: Mapped[int] = moment(index=True)
    ends_at: Mapped[int] = moment()
    ended_at: Mapped[int | None] = moment(optional=True)
    """When somebody ended it before its time was over."""
    opens_confidential: Mapped[bool] = flag()
    opens_sensitive: Mapped[bool] = flag()
    ground: SealedField[str] = sealed_text()
    """The id of a ground of `config/oversight/break_glass.toml`."""
    reason: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def over_at(self) -> int:
        """When it is or was over."""
        return self.ends_at if self.ended_at is None else min(self.ended_at, self.ends_at)

    @property
    def compartments(self) -> frozenset[Compartment]:
        """The compartments that it opens."""
        more = {Compartment.CONFIDENTIAL: self.opens_confidential, Compartment.SENSITIVE: self.opens_sensitive}
        return frozenset({Compartment.GENERAL, *(one for one, is_open in more.items() if is_open)})


class EmergencyContact(Sealed, Base):
    """Whom to call when a patient is lost from sight. Confirmed at every check-in."""

    __tablename__ = "emergency_contact"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id", unique=True)
    confirmed_at: Mapped[int] = moment()
    name: SealedField[str] = sealed_text()
    relationship: SealedField[str] = sealed_text()
    phone: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class ConsentSignature(Sealed, Base):
    """One signature under one version of a consent text."""

    __tablename__ = "consent_signature"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    signer_id: Mapped[UUID | None] = opaque(optional=True)
    signed_at: Mapped[int] = moment()
    withdrawn_at: Mapped[int | None] = moment(optional=True)
    text_digest: Mapped[bytes] = digest()
    """SHA-256 of exactly what was shown."""
    text: SealedField[dict[str, str]] = sealed_json()
    """Kind, id, version and language of the text."""
    signer_name: SealedField[str] = sealed_text()
    capacity: SealedField[str] = sealed_text()
    """`patient`, `guardian`, or who stands in a patient's place: `conservator`, `authorized_representative`."""
    answers: SealedField[dict[str, str]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class Fact(Sealed, Base):
    """One thing known about a patient, as of a moment. Facts are added, never changed."""

    __tablename__ = "fact"
    __table_args__ = (Index("ix_fact_newest", "patient_id", "code_index", "as_of"),)

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    code_index: Mapped[bytes] = digest()
    """Keyed hash of the code: what a fact is about is health information too."""
    as_of: Mapped[int] = moment()
    recorded_at: Mapped[int] = moment()
    recorded_by: Mapped[UUID | None] = opaque(optional=True)
    about: Mapped[UUID | None] = opaque(optional=True)
    code: SealedField[str] = sealed_text()
    value: SealedField[Any] = sealed_json()
    source: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)


class LegalHold(Sealed, Base):
    """While it is open, nothing of the patient's record may be destroyed, whatever its age."""

    __tablename__ = "legal_hold"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    placed_at: Mapped[int] = moment()
    placed_by: Mapped[UUID | None] = opaque(optional=True)
    released_at: Mapped[int | None] = moment(optional=True)
    released_by: Mapped[UUID | None] = opaque(optional=True)
    matter: SealedField[str] = sealed_text()
    """The practice's own name for the case."""
    reason: SealedField[str] = sealed_text()
    release_note: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return practice_scope()


class Destruction(Sealed, Base):
    """The decision to destroy a record: proposed by one, signed by another, carried out by an operator. It stays."""

    __tablename__ = "destruction"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    proposed_at: Mapped[int] = moment()
    proposed_by: Mapped[UUID] = opaque()
    signed_at: Mapped[int | None] = moment(optional=True)
    signed_by: Mapped[UUID | None] = opaque(optional=True)
    withdrawn_at: Mapped[int | None] = moment(optional=True)
    done_at: Mapped[int | None] = moment(optional=True)
    basis: SealedField[dict[str, str]] = sealed_json()
    """The rule's id and version, and the day until which the record had to be kept."""

    @property
    def sealing_scope(self) -> Scope:
        return practice_scope()
