"""Woken from below: an invited person is told to expect a link. The notice holds none, so it signs nobody in."""

from uuid import UUID

from telepsych.core.work import Work
from telepsych.notifications import service


def on_invited(work: Work, person_id: UUID) -> None:
    """Somebody was invited."""
    service.notify(work, [person_id], "invitation")


SUBSCRIBERS = {"invitation.made": on_invited}
