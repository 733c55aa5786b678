"""Telling people, outside the product, that there is something to look at. Never what."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.notifications.models import OutboxRow, OutboxState

FORMER_ADDRESS = "former-address"
"""The one notice that goes to the address a person had before."""


def texts(kind: str) -> tuple[str, str]:
    """Subject and text of a kind of notice. Raises `Invalid` for an unknown kind."""
    known = {
        "new-message": (gettext("You have a new message"), gettext("You have a new message. Sign in to read it.")),
        "visit-booked": (gettext("A visit was booked"), gettext("A visit was booked for you. Sign in to see when.")),
        "visit-changed": (gettext("A visit has changed"), gettext("A visit has changed. Sign in to see how.")),
        "invitation": (
            gettext("You are invited"),
            gettext("The practice has an invitation for you. The practice gives you the link itself."),
        ),
        "new-device": (
            gettext("A new device was used"),
            gettext(
                "Somebody signed in to your account on a device we had not seen before. If it was you, there is "
                "nothing to do. If not, please call us."
            ),
        ),
        "recovery": (
            gettext("You are getting a new way in"),
            gettext(
                "The practice has ended every old way into your account and has a new one for you, which it gives you "
                "itself. If you did not ask for it, please call us."
            ),
        ),
        "sign-in-changed": (
            gettext("The way you sign in has changed"),
            gettext(
                "The way you sign in has changed. If that was you, there is nothing to do. If not, please call us."
            ),
        ),
        "line-used": (
            gettext("A line of your recovery sheet was used"),
            gettext(
                "Somebody used a line of your recovery sheet and set up a new second step. If it was you, there is "
                "nothing to do. If not, please call us at once."
            ),
        ),
        FORMER_ADDRESS: (
            gettext("Your e-mail address was changed"),
            gettext("This address no longer signs in with us. If you did not change it, please call us at once."),
        ),
        "access-soon": (
            gettext("Who sees what will change soon"),
            gettext("Who may see what with the practice will change soon. Sign in to see how."),
        ),
        "access-changed": (
            gettext("Who sees what has changed"),
            gettext("Who may see what with the practice has changed. Sign in to see how."),
        ),
        "work-item": (gettext("Something waits for you"), gettext("Something waits for you. Sign in to look at it.")),
    }
    if kind not in known:
        raise Invalid
    return known[kind]


def notify(work: Work, people: Iterable[UUID], kind: str, *, even_actor: bool = False) -> None:
    """Queue one notice for each of these people, in this unit of work. Never to the actor themself, unless asked for.

    One that still waits says the same already. One that a sender holds may be out: it tells nothing of what follows.
    """
    texts(kind)
    for person_id in sorted(set(people) if even_actor else set(people) - {work.actor.id}):
        if _waits(work, person_id, kind):
            continue
        work.add(
            OutboxRow(
                person_id=person_id,
                kind=kind,
                state=OutboxState.WAITING,
                created_at=work.now,
                due_at=work.now,
            )
        )


def _waits(work: Work, person_id: UUID, kind: str) -> bool:
    waiting = OutboxRow.state == OutboxState.WAITING, OutboxRow.lease_until.is_(None)
    mine = select(OutboxRow.id).where(OutboxRow.person_id == person_id, OutboxRow.kind == kind, *waiting)
    work.session.flush()
    return work.session.scalar(mine.limit(1)) is not None
