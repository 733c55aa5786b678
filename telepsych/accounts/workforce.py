"""Those who work in the practice: taking them on, with roles and a place in a team, and giving them a way in."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import invitations, policy, service
from telepsych.accounts.models import Person, Team
from telepsych.core.actor import WORKFORCE, Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work

FIRST_TEAM = "Care team"
"""The default team of a practice that has none, unless another name is given."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Somebody who may come in. `team` is empty for who was there already, and for who belongs to none."""

    person_id: UUID
    token: str
    team: str = ""


def welcome(
    work: Work, *, email: str, name: str = "", roles: Collection[Role] = (), title: str = "", team: str = ""
) -> Welcome:
    """Invite somebody who works here, and take them on first if they are not known; then a name and roles are needed.

    Who works here already gets a new invitation and nothing else. Raises `Invalid` and `Conflict`.
    """
    work.require(policy.can_manage_people(work.actor))
    work.require_fresh()
    service.check_address(email)
    known = service.find_by_email(work, email)
    if known is None:
        return _take_on(work, email=email, name=name, roles=roles, title=title, team=team)
    if not service.roles_of(work, known.id) & WORKFORCE:
        raise Conflict(gettext("Somebody already signs in with this e-mail address."))
    if name or roles or title or team:
        raise Conflict(gettext("They work here already. Give only their e-mail address for a new invitation."))
    return Welcome(known.id, invitations.invite(work, known.id))


def _take_on(work: Work, *, email: str, name: str, roles: Collection[Role], title: str, team: str) -> Welcome:
    if not roles or not set(roles) <= WORKFORCE:
        raise Invalid(fields={"role": gettext("Please say what they do here.")})
    person = service.add_person(work, name=name, roles=roles, email=email, title=title.strip())
    joined = _join(work, person, roles, team.strip())
    return Welcome(person.id, invitations.invite(work, person.id), joined)


def _join(work: Work, person: Person, roles: Collection[Role], name: str) -> str:
    """Give them a place in a team, which is what opens records. Compliance alone opens none and belongs to none."""
    if set(roles) == {Role.COMPLIANCE}:
        if name:
            raise Invalid(fields={"team": gettext("Who only looks after compliance belongs to no team.")})
        return ""
    team = _team(work, name)
    service.join_team(work, team.id, person.id)
    return team.name


def _team(work: Work, name: str) -> Team:
    """The team of this name, or the default one when no name is given. Made when it is not there."""
    teams = list(work.session.scalars(select(Team)))
    default = next((team for team in teams if team.is_default), None)
    if default and not name:
        return default
    wanted = name or FIRST_TEAM
    named = next((team for team in teams if team.name.casefold() == wanted.casefold()), None)
    if named:
        return named
    team = service.add_team(work, wanted, default=default is None)
    work.session.flush()
    return team
