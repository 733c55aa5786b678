"""Woken from below: somebody who signs in wants to be reached in another way."""

from uuid import UUID

from telepsych.core.work import Subscriber, Work
from telepsych.patients import addresses


def on_email_changing(work: Work, person_id: UUID, email: str) -> None:
    """Refuse an e-mail address that a patient and whoever acts for them would share."""
    addresses.refuse_for(work, person_id)


def on_phone_changing(work: Work, person_id: UUID) -> None:
    """Refuse a telephone that they would share."""
    addresses.refuse_for(work, person_id)


SUBSCRIBERS: dict[str, Subscriber] = {"email.changing": on_email_changing, "phone.changing": on_phone_changing}
