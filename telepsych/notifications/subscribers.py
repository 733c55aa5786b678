"""Woken from below: people are told what happens to their sign-in. No notice holds a link: none signs anybody in."""

from uuid import UUID

from telepsych.core.work import Subscriber, Work
from telepsych.notifications import service


def on_invited(work: Work, person_id: UUID) -> None:
    """Somebody was invited."""
    service.notify(work, [person_id], "invitation")


def on_new_device(work: Work, person_id: UUID) -> None:
    """Somebody finished signing in on a browser this person had not used before."""
    service.notify(work, [person_id], "new-device", even_actor=True)


def on_recovered(work: Work, person_id: UUID) -> None:
    """The practice gave somebody a new way in, and ended the old ones."""
    service.notify(work, [person_id], "recovery")


def on_growing_up(work: Work, people: frozenset[UUID], days: int, **_rest: object) -> None:
    """Who may see what changes on a birthday; the words name neither."""
    service.notify(work, people, "access-soon" if days else "access-changed")


def on_factors_changed(work: Work, person_id: UUID) -> None:
    """Somebody signs in another way from now on. Told to the person themself, who may not be who did it."""
    service.notify(work, [person_id], "sign-in-changed", even_actor=True)


def on_line_used(work: Work, person_id: UUID) -> None:
    """A line of a recovery sheet was used up."""
    service.notify(work, [person_id], "line-used", even_actor=True)


def on_email_changed(work: Work, person_id: UUID) -> None:
    """Somebody signs in with another address: the old one is told."""
    service.notify(work, [person_id], service.FORMER_ADDRESS, even_actor=True)


SUBSCRIBERS: dict[str, Subscriber] = {
    "factors.changed": on_factors_changed,
    "factors.line-used": on_line_used,
    "email.changed": on_email_changed,
    "invitation.made": on_invited,
    "device.new": on_new_device,
    "growing-up": on_growing_up,
    "person.recovered": on_recovered,
}
