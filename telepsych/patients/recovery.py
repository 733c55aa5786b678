"""A new way in for a patient, or for somebody who acts for one: by relation only, like everything about a patient."""

from uuid import UUID

from telepsych.accounts import recovery
from telepsych.accounts import service as accounts
from telepsych.accounts.models import HowVerified, Person
from telepsych.core.actor import WORKFORCE
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy, service
from telepsych.patients.models import Proxy


def person_to_recover(work: Work, patient_id: UUID, proxy_id: UUID | None = None) -> Person:
    """Whose way in it is: the patient's, or of somebody who acts for them now.

    Raises `NotFound` for a record that is not open to the actor, `Invalid` for who has no sign-in, or works here: a
    manager sees to those.
    """
    work.require(policy.can_register(work.actor))
    patient = service.open_patient(work, patient_id)
    person_id = patient.person_id if proxy_id is None else _proxy(work, patient_id, proxy_id)
    if person_id is None:
        raise Invalid(gettext("They have no sign-in with us."))
    if accounts.roles_of(work, person_id) & WORKFORCE:
        raise Invalid(gettext("They work here, so a manager has to see to it."))
    return work.session.get_one(Person, person_id)


def recover(work: Work, patient_id: UUID, how: HowVerified, note: str, proxy_id: UUID | None = None) -> str:
    """Give them a new way in. Returns the invitation's token. Raises as `person_to_recover` and `accounts.recovery`."""
    person = person_to_recover(work, patient_id, proxy_id)
    return recovery.recover(work, person.id, how, note)


def _proxy(work: Work, patient_id: UUID, proxy_id: UUID) -> UUID:
    holding = policy.proxies_in_force(work.now).where(Proxy.id == proxy_id, Proxy.patient_id == patient_id)
    found: UUID | None = work.session.scalar(holding.with_only_columns(Proxy.person_id))
    if found is None:
        raise NotFound
    return found
