"""The teams that care for a patient, from when until when. A team opens the record, so a patient always has one."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Team
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy
from telepsych.patients.models import CareTeam, Patient
from telepsych.patients.opening import open_patient


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A team's care for a patient. `people` are its members now."""

    id: UUID
    team_id: UUID
    name: str
    people: tuple[Named, ...]
    valid_from: int
    valid_until: int | None
    holds: bool
    is_ahead: bool


def teams_of(work: Work, patient_id: UUID) -> list[TeamLine]:
    """Every team that cares or cared for a patient, those of now first."""
    work.require(policy.can_register(work.actor, patient_id))
    open_patient(work, patient_id)
    rows = work.session.scalars(select(CareTeam).where(CareTeam.patient_id == patient_id)).all()
    names = {team.id: team.name for team in work.session.scalars(select(Team))}
    return sorted((_line(work, row, names) for row in rows), key=lambda one: (not one.holds, -one.valid_from))


def teams_to_add(work: Work, patient_id: UUID) -> list[tuple[UUID, str]]:
    """The practice's other teams, by name."""
    work.require(policy.can_register(work.actor, patient_id))
    here = {row.team_id for row in _lasting(work, patient_id) if row.valid_until is None}
    teams = [(team.id, team.name) for team in work.session.scalars(select(Team)) if team.id not in here]
    return sorted(teams, key=lambda one: one[1].casefold())


def add_team(
    work: Work, patient_id: UUID, team_id: UUID, *, valid_from: int | None = None, valid_until: int | None = None
) -> CareTeam:
    """Let a team care for a patient, from now on unless a later time is given. Raises `Invalid` and `Conflict`."""
    work.require(policy.can_register(work.actor, patient_id))
    _hold(work, patient_id)
    if work.session.get(Team, team_id) is None:
        raise Invalid(fields={"team": gettext("Please choose a team.")})
    starts = max(valid_from or work.now, work.now)
    if valid_until is not None and valid_until <= starts:
        raise Invalid(fields={"until": gettext("The last day is before the first.")})
    if any(row.team_id == team_id and _overlaps(row, starts, valid_until) for row in _lasting(work, patient_id)):
        raise Conflict(gettext("This team cares for the patient already."))
    row = work.add(CareTeam(patient_id=patient_id, team_id=team_id, valid_from=starts, valid_until=valid_until))
    work.session.flush()
    about = f"care-team:{row.id}"
    audit.record(work, "care-team.added", about, patient_id=patient_id, detail={"team": str(team_id)})
    return row


def end_team(work: Work, patient_id: UUID, care_team_id: UUID, *, at: int | None = None) -> CareTeam:
    """End a team's care, now or at a later time. Raises `Conflict` when the patient would ever be without a team."""
    work.require(policy.can_register(work.actor, patient_id))
    _hold(work, patient_id)
    mine = select(CareTeam).where(CareTeam.id == care_team_id, CareTeam.patient_id == patient_id)
    row = work.one(mine)
    ends = max(at or work.now, work.now)
    if row.valid_until is not None and row.valid_until <= ends:
        raise Conflict(gettext("This team's care has ended already, or ends sooner."))
    others = [one for one in _lasting(work, patient_id) if one.id != row.id]
    if not _covers(others, ends):
        sentence = gettext("Add another team first: a patient is never without one.")
        raise Conflict(sentence)
    row.valid_until = ends
    detail = {"team": str(row.team_id)}
    audit.record(work, "care-team.ended", f"care-team:{row.id}", patient_id=patient_id, detail=detail)
    return row


def is_open(work: Work, patient_id: UUID) -> bool:
    """Whether the patient's record is open to the actor now."""
    work.asked = True
    return work.session.scalar(policy.patient_ids_of(work.actor, work.now).where(Patient.id == patient_id)) is not None


def _hold(work: Work, patient_id: UUID) -> None:
    """The patient's row under its lock, so that of two ends at once the second sees the first."""
    open_patient(work, patient_id)
    work.session.execute(select(Patient.id).where(Patient.id == patient_id).with_for_update())


def _lasting(work: Work, patient_id: UUID) -> list[CareTeam]:
    """The teams that care now or later, as they stand in the database."""
    still = or_(CareTeam.valid_until.is_(None), CareTeam.valid_until > work.now)
    query = select(CareTeam).where(CareTeam.patient_id == patient_id, still)
    return list(work.session.scalars(query.execution_options(populate_existing=True)))


def _covers(rows: list[CareTeam], moment: int) -> bool:
    """Whether these teams leave no gap from a moment on: one takes over where the one before ends."""
    while True:
        there = [row.valid_until for row in rows if row.valid_from <= moment and _lasts(row, moment)]
        if None in there:
            return True
        if not there:
            return False
        moment = max(at for at in there if at is not None)


def _lasts(row: CareTeam, moment: int) -> bool:
    return row.valid_until is None or row.valid_until > moment


def _overlaps(row: CareTeam, starts: int, ends: int | None) -> bool:
    return (ends is None or row.valid_from < ends) and _lasts(row, starts)


def _line(work: Work, row: CareTeam, names: dict[UUID, str]) -> TeamLine:
    people = accounts.names_of(work, accounts.members_of(work, [row.team_id])).values()
    return TeamLine(
        id=row.id,
        team_id=row.team_id,
        name=names[row.team_id],
        people=tuple(sorted(people, key=lambda one: one.name)),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        holds=row.valid_from <= work.now and _lasts(row, work.now),
        is_ahead=row.valid_from > work.now,
    )
