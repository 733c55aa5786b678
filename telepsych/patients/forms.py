"""What the pages of this room share: reading a form, saying what is wrong with it, handing a link over."""

from dataclasses import dataclass
from uuid import UUID

from flask import request

from telepsych.core.errors import Conflict, Invalid


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """An invitation's link, shown this once."""

    patient_id: UUID
    link: str


def typed_in(names: tuple[str, ...]) -> dict[str, str]:
    """What was typed into these fields, without the blanks around it."""
    return {name: request.form.get(name, "").strip() for name in names}


def faults_of(error: Invalid | Conflict, otherwise: str = "email") -> dict[str, str]:
    """What is wrong, by field; a sentence about no field stands at the one named."""
    fields = error.fields if isinstance(error, Invalid) else {}
    return fields or {otherwise: error.sentence}
