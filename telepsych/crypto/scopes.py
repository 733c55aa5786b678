"""Whose key seals a thing: one data key per patient and compartment, per person who signs in, and for the practice."""

from dataclasses import dataclass
from uuid import UUID

from telepsych.core.actor import Compartment

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Scope:
    """The holder of a data key. Part of every ciphertext's context, so nothing opens under another holder."""

    kind: str
    owner: UUID
    compartment: str


def patient_scope(patient_id: UUID, compartment: Compartment = Compartment.GENERAL) -> Scope:
    """A compartment of a patient's record."""
    return Scope("patient", patient_id, str(compartment))


def user_scope(person_id: UUID) -> Scope:
    """What belongs to a person who signs in: their name, factors, drafts and devices."""
    return Scope("person", person_id, "")


def practice_scope() -> Scope:
    """What belongs to the practice as a whole."""
    return Scope("practice", NOBODY, "")
