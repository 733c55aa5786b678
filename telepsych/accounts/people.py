"""Those who work here, as managers see them: what they may do from when until when, teams, and changing either.

A change of roles ends every session of the person: what they are from now on, they are from a new sign-in.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select

from telepsych.accounts import devices, policy, service
from telepsych.accounts.devices import Device
from telepsych.accounts.models import Factor, FactorKind, Invitation, Person, Recovery, RoleGrant, Team, TeamMember
from telepsych.audit import service as audit
from telepsych.core.actor import WORKFORCE, Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.web import sessions


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody as the list shows them."""

    id: UUID
    name: str
    title: str
    roles: tuple[Role, ...]
    teams: tuple[str, ...]
    left_at: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """A role or a place in a team, held for a while. `label` is the role's value or the team's name."""

    id: UUID
    label: str
    since: int
    until: int | None
    holds: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything a manager sees of one person. Factors are counted, never shown."""

    person: Person
    roles: list[Span]
    teams: list[Span]
    devices: list[Device]
    factors: dict[FactorKind, int]
    invited_until: int | None
    recoveries: list[Recovery]
    names: dict[UUID, service.Named]

    @property
    def held(self) -> frozenset[str]:
        """The roles held now, by value."""
        return frozenset(one.label for one in self.roles if one.holds)


def everybody(work: Work) -> list[Listed]:
    """Everybody who works or worked here, by name; who left comes last."""
    work.require(policy.can_manage_people(work.actor))
    workers = select(RoleGrant.person_id).where(RoleGrant.role.in_(WORKFORCE))
    people = work.session.scalars(select(Person).where(Person.id.in_(workers))).all()
    held: dict[UUID, set[Role]] = {}
    for grant in work.session.scalars(select(RoleGrant).where(*_in_force(work.now))):
        held.setdefault(grant.person_id, set()).add(grant.role)
    names = _team_names(work)
    teams: dict[UUID, list[str]] = {}
    for member in work.session.scalars(policy.memberships_in_force(work.now)):
        teams.setdefault(member.person_id, []).append(names[member.team_id])
    found = [
        Listed(
            one.id,
            one.name,
            one.title,
            tuple(role for role in Role if role in held.get(one.id, ())),
            tuple(sorted(teams.get(one.id, ()))),
            one.left_at,
        )
        for one in people
    ]
    return sorted(found, key=lambda one: (one.left_at is not None, one.name.casefold()))


def sheet(work: Work, person_id: UUID) -> Sheet:
    """One person who works or worked here. Raises `NotFound` for anybody else."""
    person = worker(work, person_id)
    grants = work.session.scalars(select(RoleGrant).where(RoleGrant.person_id == person_id)).all()
    members = work.session.scalars(select(TeamMember).where(TeamMember.person_id == person_id)).all()
    names = _team_names(work)
    recoveries = list(
        work.session.scalars(select(Recovery).where(Recovery.person_id == person_id).order_by(Recovery.at.desc()))
    )
    return Sheet(
        person,
        _spans(work, [(row, str(row.role)) for row in grants]),
        _spans(work, [(row, names[row.team_id]) for row in members]),
        devices.devices_of(work, person_id),
        factors_present(work, person_id),
        _invited_until(work, person_id),
        recoveries,
        service.names_of(work, [row.by_id for row in recoveries]),
    )


def worker(work: Work, person_id: UUID) -> Person:
    """Somebody who works or worked here, for a manager. Raises `NotFound`."""
    work.require(policy.can_manage_people(work.actor))
    workers = select(RoleGrant.person_id).where(RoleGrant.role.in_(WORKFORCE))
    return work.one(select(Person).where(Person.id == person_id, Person.id.in_(workers)))


def teams(work: Work) -> list[tuple[UUID, str]]:
    """Every team, by name."""
    work.require(policy.can_manage_people(work.actor))
    return sorted(_team_names(work).items(), key=lambda one: one[1].casefold())


def factors_present(work: Work, person_id: UUID) -> dict[FactorKind, int]:
    """How many of each kind of factor a person has set up."""
    mine = Factor.person_id == person_id, Factor.ended_at.is_(None), Factor.confirmed_at.is_not(None)
    counted = select(Factor.kind, func.count()).where(*mine).group_by(Factor.kind)
    return {kind: number for kind, number in work.session.execute(counted)}


# Roles and teams


def give_role(work: Work, person_id: UUID, role: Role, until: int | None = None) -> None:
    """Let somebody who works here do more, from now on; their sessions end. Raises `Invalid` and `Conflict`."""
    person = _to_change(work, person_id)
    if role not in WORKFORCE:
        raise Invalid(fields={"role": gettext("Please choose what they do here.")})
    if until is not None and until <= work.now:
        raise Invalid(fields={"until": gettext("Please choose a day that lies ahead.")})
    if role in service.roles_of(work, person_id):
        raise Conflict(gettext("They do this already."))
    work.add(RoleGrant(person_id=person_id, role=role, valid_from=work.now, valid_until=until))
    audit.record(work, "role.granted", f"person:{person_id}", purpose="operations", detail={"role": role})
    begin_anew(work, person)


def end_role(work: Work, person_id: UUID, grant_id: UUID) -> None:
    """End a role now; their sessions end. Raises `Conflict` for the last role of all, and for the last manager's."""
    person = _to_change(work, person_id)
    held = select(RoleGrant).where(RoleGrant.person_id == person_id, *_in_force(work.now))
    grant = work.one(held.where(RoleGrant.id == grant_id))
    if grant.role is Role.MANAGER:
        refuse_last_manager(work, person_id)
    if service.roles_of(work, person_id) & WORKFORCE == {grant.role}:
        raise Conflict(gettext("This is all they do here. If they leave the practice, use that instead."))
    grant.valid_until = work.now
    audit.record(work, "role.ended", f"person:{person_id}", purpose="operations", detail={"role": grant.role})
    begin_anew(work, person)


def join_team(work: Work, person_id: UUID, team_id: UUID) -> None:
    """Give somebody a place in a team, which opens its patients' records to them. Raises `Conflict`."""
    worker_here(work, person_id)
    work.require_fresh()
    work.one(select(Team).where(Team.id == team_id))
    if team_id in service.teams_of(work, person_id):
        raise Conflict(gettext("They belong to this team already."))
    service.join_team(work, team_id, person_id)


def leave_team(work: Work, person_id: UUID, member_id: UUID) -> None:
    """End a place in a team: its patients' records close to them at once."""
    worker_here(work, person_id)
    work.require_fresh()
    mine = policy.memberships_in_force(work.now).where(TeamMember.person_id == person_id, TeamMember.id == member_id)
    member = work.one(mine)
    member.valid_until = work.now
    audit.record(work, "team.left", f"team:{member.team_id}", purpose="operations", detail={"person": str(person_id)})


def begin_anew(work: Work, person: Person) -> None:
    """End every session of a person, on every device: what they may do has changed."""
    person.epoch += 1
    sessions.end_all(work, person.id)


def worker_here(work: Work, person_id: UUID) -> Person:
    """Somebody who works here now. Raises `Conflict` for who left."""
    person = worker(work, person_id)
    if person.left_at is not None:
        raise Conflict(gettext("They have left the practice."))
    return person


def refuse_last_manager(work: Work, person_id: UUID) -> None:
    """Raise `Conflict` when nobody else could manage people any more.

    Two who go at once take turns at the managers' rows, so that the second sees the first gone.
    """
    managing = select(Person.id).where(
        Person.left_at.is_(None),
        Person.id.in_(select(RoleGrant.person_id).where(RoleGrant.role == Role.MANAGER, *_in_force(work.now))),
    )
    managers = set(work.session.scalars(managing.order_by(Person.id).with_for_update()))
    if managers == {person_id}:
        raise Conflict(gettext("They are the only manager. Somebody else has to become one first."))


def _to_change(work: Work, person_id: UUID) -> Person:
    work.require(policy.can_change_roles(work.actor, person_id))
    person = worker_here(work, person_id)
    work.require_fresh()
    return person


def _in_force(now: int) -> tuple[ColumnElement[bool], ...]:
    """The roles held at a moment."""
    return RoleGrant.valid_from <= now, or_(RoleGrant.valid_until.is_(None), RoleGrant.valid_until > now)


def _spans(work: Work, rows: list[tuple[RoleGrant, str]] | list[tuple[TeamMember, str]]) -> list[Span]:
    found = [
        Span(row.id, label, row.valid_from, row.valid_until, row.valid_until is None or row.valid_until > work.now)
        for row, label in rows
    ]
    return sorted(found, key=lambda one: (not one.holds, -one.since))


def _invited_until(work: Work, person_id: UUID) -> int | None:
    """Until when an invitation that nobody has used yet is good."""
    unused = Invitation.used_at.is_(None), Invitation.ended_at.is_(None), Invitation.expires_at > work.now
    return work.session.scalar(select(Invitation.expires_at).where(Invitation.person_id == person_id, *unused))


def _team_names(work: Work) -> dict[UUID, str]:
    return {team.id: team.name for team in work.session.scalars(select(Team))}
