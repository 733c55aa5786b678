"""The person in care: identity, who may act for them, who cares for them, what they signed, and what is known."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.columns import digest, flag, key, moment, opaque, ref, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Patient(Sealed, Base):
    """Somebody in care. They need not sign in: a child under 13, or a person who prefers the telephone."""

    __tablename__ = "patient"

    id = key()
    person_id: Mapped[UUID | None] = opaque(optional=True, unique=True)
    """Their own sign-in, if they have one."""
    created_at: Mapped[int] = moment()
    left_at: Mapped[int | None] = moment(optional=True)
    name: SealedField[str] = sealed_text()
    preferred_name: SealedField[str] = sealed_text()
    birth_date: SealedField[str] = sealed_text()
    """ISO date."""
    pronouns: SealedField[str] = sealed_text()
    phone: SealedField[str] = sealed_text()
    language: SealedField[str] = sealed_text("en")

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
    authority: SealedField[str] = sealed_text()
    """An `Authority`: that somebody has a conservator is health information."""
    document: SealedField[str] = sealed_text()
    """What was seen that shows the authority."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def compartments(self) -> frozenset[Compartment]:
        """The compartments the relation opens."""
        opened = {Compartment.GENERAL: self.opens_general, Compartment.CONFIDENTIAL: self.opens_confidential}
        return frozenset(one for one, is_open in opened.items() if is_open)


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
    """`patient` or `guardian`."""
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
