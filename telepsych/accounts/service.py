"""People, their roles and teams, and the practice's hours."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import holidays
from sqlalchemy import or_, select

from telepsych.accounts import policy
from telepsych.accounts.models import ClosedDay, OpeningHours, Person, RoleGrant, Team, TeamMember
from telepsych.audit import service as audit
from telepsych.core.actor import WORKFORCE, Actor, Role
from telepsych.core.calendar import BusinessHours, Opening
from telepsych.core.clock import local_date
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work

ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


@dataclass(frozen=True, slots=True)
class Named:
    """A person as others see them."""

    id: UUID
    name: str
    title: str = ""

    @property
    def first_name(self) -> str:
        """The first word of the name, titles such as "Dr." aside."""
        words = [word for word in self.name.split() if not word.endswith(".")]
        return words[0] if words else self.name


def add_person(
    work: Work, *, name: str, roles: Collection[Role], email: str = "", phone: str = "", title: str = ""
) -> Person:
    """Add somebody who may sign in one day. Raises `Conflict` when the address already belongs to a person."""
    work.require(policy.can_manage_people(work.actor) if set(roles) & WORKFORCE else policy.can_invite(work.actor))
    if not name.strip():
        raise Invalid(fields={"name": gettext("Please give a name.")})
    person = Person(created_at=work.now, name=name.strip(), email=email.strip(), phone=phone.strip(), title=title)
    if email.strip():
        index = work.practice.vault.blind("email", email)
        if work.session.scalar(select(Person.id).where(Person.email_index == index.value)):
            raise Conflict(gettext("Somebody already signs in with this e-mail address."))
        person.email_index, person.email_index_version = index.value, index.version
    work.add(person)
    work.session.flush()
    for role in sorted(roles):
        work.add(RoleGrant(person_id=person.id, role=role, valid_from=work.now))
    audit.record(work, "person.added", f"person:{person.id}", purpose="operations", detail={"roles": sorted(roles)})
    return person


def check_address(email: str) -> None:
    """Raise `Invalid` for what cannot be an e-mail address."""
    if not ADDRESS.fullmatch(email.strip()):
        raise Invalid(fields={"email": gettext("Please check the e-mail address.")})


def find_by_email(work: Work, email: str) -> Person | None:
    """The person who signs in with an address, if there is one."""
    index = work.practice.vault.blind("email", email)
    return work.session.scalar(select(Person).where(Person.email_index == index.value, Person.left_at.is_(None)))


def roles_of(work: Work, person_id: UUID) -> frozenset[Role]:
    """The roles a person holds now."""
    return frozenset(work.session.scalars(policy.roles_in_force(person_id, work.now)))


def teams_of(work: Work, person_id: UUID) -> frozenset[UUID]:
    """The teams a person belongs to now."""
    mine = policy.memberships_in_force(work.now).where(TeamMember.person_id == person_id)
    return frozenset(member.team_id for member in work.session.scalars(mine))


def members_of(work: Work, team_ids: Iterable[UUID], *roles: Role) -> frozenset[UUID]:
    """The people in these teams now who hold one of these roles (any role if none is given)."""
    members = policy.memberships_in_force(work.now).where(TeamMember.team_id.in_(list(team_ids)))
    people = {member.person_id for member in work.session.scalars(members)}
    if not roles:
        return frozenset(people)
    holders = select(RoleGrant.person_id).where(
        RoleGrant.person_id.in_(people),
        RoleGrant.role.in_(roles),
        RoleGrant.valid_from <= work.now,
        or_(RoleGrant.valid_until.is_(None), RoleGrant.valid_until > work.now),
    )
    return frozenset(work.session.scalars(holders))


def add_team(work: Work, name: str, *, default: bool = False) -> Team:
    """Add a team."""
    work.require(policy.can_manage_people(work.actor))
    team = Team(name=name, is_default=default)
    work.add(team)
    audit.record(work, "team.added", f"team:{team.id}", purpose="operations")
    return team


def default_team(work: Work) -> UUID:
    """The team that patients without another belong to. Raises `Conflict` in a practice where nobody works yet."""
    found = work.session.scalar(select(Team.id).where(Team.is_default))
    if found is None:
        raise Conflict(gettext("There is no care team yet. Please add somebody who works in the practice first."))
    return found


def join_team(work: Work, team_id: UUID, person_id: UUID) -> None:
    """Make a person a member of a team from now on."""
    work.require(policy.can_manage_people(work.actor))
    work.add(TeamMember(team_id=team_id, person_id=person_id, valid_from=work.now))
    audit.record(work, "team.joined", f"team:{team_id}", purpose="operations", detail={"person": str(person_id)})


def names_of(work: Work, people: Iterable[UUID | None]) -> dict[UUID, Named]:
    """The names of these people, by id."""
    wanted = {person for person in people if person is not None}
    rows = work.session.scalars(select(Person).where(Person.id.in_(wanted)))
    return {row.id: Named(row.id, row.name, row.title) for row in rows}


def clinicians(work: Work) -> list[Named]:
    """Everybody who holds visits, by name."""
    holders = select(RoleGrant.person_id).where(RoleGrant.role == Role.CLINICIAN, RoleGrant.valid_until.is_(None))
    people = work.session.scalars(select(Person).where(Person.id.in_(holders), Person.left_at.is_(None)))
    return sorted((Named(row.id, row.name, row.title) for row in people), key=lambda one: one.name)


def set_hours(work: Work, openings: Iterable[Opening]) -> None:
    """Set the weekly opening hours."""
    work.require(policy.can_manage_people(work.actor))
    for row in work.session.scalars(select(OpeningHours)):
        work.session.delete(row)
    for one in openings:
        work.add(OpeningHours(weekday=one.weekday, opens=one.opens, closes=one.closes))
    audit.record(work, "hours.set", "practice:hours", purpose="operations")


def business_hours(work: Work) -> BusinessHours:
    """When the practice is open: weekly hours less public holidays and its own closed days."""
    settings = work.practice.settings
    openings = [Opening(row.weekday, row.opens, row.closes) for row in work.session.scalars(select(OpeningHours))]
    closed = set(work.session.scalars(select(ClosedDay.day)))
    year = local_date(work.now, settings.tz).year
    public = _public_holidays(settings.holiday_region, year)
    return BusinessHours(settings.tz, tuple(openings), public | frozenset(closed))


@cache
def _public_holidays(region: str, year: int) -> frozenset[str]:
    country, _, subdivision = region.partition("-")
    days = holidays.country_holidays(country, subdiv=subdivision or None, years=[year, year + 1])
    return frozenset(day.isoformat() for day in days)


def actor_of(work: Work, person_id: UUID, session_id: UUID | None = None) -> Actor:
    """The person as an actor with the roles and teams in force now; ties to patients are added by `patients`."""
    return Actor(
        id=person_id,
        roles=roles_of(work, person_id),
        teams=teams_of(work, person_id),
        session_id=session_id,
    )
