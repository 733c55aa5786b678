"""Woken from below: what relations and birthdays give staff to do. Titles name no age and no document."""

from uuid import UUID

from telepsych.core.actor import Compartment
from telepsych.core.words import gettext
from telepsych.core.work import Subscriber, Work
from telepsych.patients import relations
from telepsych.triage import service
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority


def on_growing_up(
    work: Work, patient_id: UUID, people: frozenset[UUID], age: int, days: int, compartment: Compartment
) -> None:
    """Who sees what will change, or has changed: staff prepare the sign-in, the consents and the papers."""
    adult = age == relations.adult_from()
    if adult:
        todo = gettext("They sign the consents anew as an adult, and say who may go on seeing their record.")
    else:
        todo = gettext("Offer them a sign-in of their own, with an e-mail address and telephone that nobody shares.")
    when = gettext("In %(days)s days.") % {"days": days} if days else gettext("Since today.")
    service.raise_item(
        work,
        patient_id,
        ItemKind.RELATION,
        Priority.ROUTINE,
        title=gettext("Who sees this record is changing"),
        why=(f"{when} {todo}",),
        about=(f"age-{age}", patient_id),
        compartment=compartment,
    )


def on_review_due(work: Work, patient_id: UUID, proxy_id: UUID) -> None:
    """A document has to be looked at again."""
    service.raise_item(
        work,
        patient_id,
        ItemKind.RELATION,
        Priority.ROUTINE,
        title=gettext("Look at a document again"),
        why=(gettext("Somebody acts for this patient by a document that is due for review."),),
        about=("proxy", proxy_id),
    )


def on_supporter_asked(work: Work, patient_id: UUID, request_id: UUID, compartment: Compartment) -> None:
    """The patient wants a supporter; a young person's wish stays between them and the team."""
    service.raise_item(
        work,
        patient_id,
        ItemKind.RELATION,
        Priority.ROUTINE,
        title=gettext("Wants a supporter"),
        why=(gettext("Meet the person, make sure who they are, and hand over the invitation."),),
        about=("supporter-request", request_id),
        compartment=compartment,
    )


SUBSCRIBERS: dict[str, Subscriber] = {
    "growing-up": on_growing_up,
    "proxy.review-due": on_review_due,
    "supporter.asked": on_supporter_asked,
}
