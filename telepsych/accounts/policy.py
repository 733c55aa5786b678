"""Who may invite, and who may manage people."""

from uuid import UUID

from sqlalchemy import Select, or_, select

from telepsych.accounts.models import Person, RoleGrant, TeamMember
from telepsych.core.actor import WORKFORCE, Actor, Decision, Role
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


def can_see_devices(actor: Actor, person_id: UUID) -> Decision:
    """Oneself, and managers: where somebody is signed in, and ending it."""
    allowed = actor.id == person_id or bool(can_manage_people(actor))
    return Decision(allowed, gettext("Only this person, or a manager, can do that."))


def can_change_roles(actor: Actor, person_id: UUID) -> Decision:
    """Managers, for others: nobody gives themself a role, nor takes the trace of one away."""
    if actor.id == person_id:
        return Decision(False, gettext("Another manager has to change what you may do here."))
    return can_manage_people(actor)


def can_recover(actor: Actor, person_id: UUID, roles: frozenset[Role]) -> Decision:
    """Who may give somebody a new way in: staff for patients and guardians, a manager for who works here.

    Never for oneself.
    """
    if actor.id == person_id:
        return Decision(False, gettext("Somebody else has to do this for you."))
    return can_manage_people(actor) if roles & WORKFORCE else can_invite(actor)


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
