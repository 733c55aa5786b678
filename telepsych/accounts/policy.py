"""Who may invite, and who may manage people."""

from sqlalchemy import Select, or_, select

from telepsych.accounts.models import Person, RoleGrant, TeamMember
from telepsych.core.actor import Actor, Decision, Role
from telepsych.core.words import gettext


def can_manage_people(actor: Actor) -> Decision:
    """Managers, and the operator at the command line."""
    return Decision(actor.is_system or actor.has(Role.MANAGER), gettext("Only a manager can do this."))


def can_invite(actor: Actor) -> Decision:
    """Staff and managers invite people the practice already knows."""
    allowed = actor.is_system or actor.has(Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only staff can send invitations."))


def is_oneself(actor: Actor, person: Person) -> Decision:
    """Only the person themself."""
    return Decision(actor.id == person.id, gettext("Only this person can do that."))


def roles_in_force(person_id: object, now: int) -> Select[Role]:
    """The roles a person holds at a moment."""
    return select(RoleGrant.role).where(
        RoleGrant.person_id == person_id,
        RoleGrant.valid_from <= now,
        or_(RoleGrant.valid_until.is_(None), RoleGrant.valid_until > now),
    )


def memberships_in_force(now: int) -> Select[TeamMember]:
    """Team memberships in force at a moment."""
    return select(TeamMember).where(
        TeamMember.valid_from <= now, or_(TeamMember.valid_until.is_(None), TeamMember.valid_until > now)
    )
