"""Who meets the doors: one persona for each way of standing to a record. `things` has what lies behind them."""

from dataclasses import dataclass, field
from uuid import UUID

from flask import Flask
from sqlalchemy import select
from support.cast import Cast

from house.matrix.rehearsal import Rehearsal
from house.matrix.things import CLOSED, MONDAY, Things, fill, idle, kept
from telepsych.accounts import hours, offboarding
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person, RoleGrant, TeamMember
from telepsych.app import create_app
from telepsych.core.actor import WORKFORCE, Actor, Role, command
from telepsych.core.clock import DAY, MINUTE
from telepsych.core.work import Practice, Work
from telepsych.oversight.models import WeekReview
from telepsych.patients import service as patients
from telepsych.patients.models import (
    Authority,
    Proxy,
)
from telepsych.patients.relations import Part
from telepsych.web import csrf, sessions
from telepsych.web.models import SignInSession, Stage

NO_SESSION = ("anonymous", "half", "left")
GUARDIANS = ("guardian", "conservator", "supporter", "suspended", "expired")
AUTHORITIES = {
    "guardian": Authority.PARENT,
    "guardian-elsewhere": Authority.PARENT,
    "conservator": Authority.CONSERVATOR,
    "related": Authority.PARENT,
    "supporter": Authority.SUPPORTER,
}
"""On what ground a persona acts; the others are guardians named by the probate court."""
OF_THE_ADULT = ("adult", "conservator")
LONG_AGO = 10 * MINUTE
"""How old the factor of the usual session is: too old for acts that ask for a fresh one."""


@dataclass(frozen=True)
class Key:
    """What a browser of somebody holds: the session's token, and the token that goes with unsafe requests."""

    cookie: str
    csrf: str
    session: UUID | None


@dataclass
class World:
    """Everybody and everything."""

    practice: Rehearsal
    app: Flask
    cast: Cast
    people: dict[str, UUID]
    adult: Things
    young: Things
    grant: UUID
    """A role of the colleague's, their place in a team, and a session of theirs."""
    member: UUID
    worker_session: UUID
    keys: dict[tuple[str, bool], Key] = field(default_factory=dict)
    """By persona, and whether the factor is fresh."""

    def things_for(self, persona: str) -> Things:
        """Whose record a persona is tried on: the adult's, or for most the young person's."""
        return self.adult if persona in OF_THE_ADULT else self.young

    def actor(self, persona: str, *, fresh: bool = False) -> Actor:
        """A persona as a service function sees them."""
        if persona in NO_SESSION:
            return Actor(id=None, label="public")
        with self.practice.begin(command("test"), writes=False, public="test") as work:
            at = work.now if fresh else work.now - LONG_AGO
            return patients.actor_for(work, self.people[persona], self.keys[persona, fresh].session, at)


def build(made: Practice, cast: Cast) -> World:
    """People the cast and its practice."""
    practice = Rehearsal.of(made)
    people = _people(cast)
    adult, young = Things(cast.patient.record), Things(cast.adolescent.record)
    for things in (adult, young):
        fill(cast, people, things)
    with cast.system() as work:
        offboarding.leave(work, people["left"])
        grant = work.session.scalars(select(RoleGrant.id).where(RoleGrant.person_id == people["colleague"])).one()
        member = work.session.scalars(select(TeamMember.id).where(TeamMember.person_id == people["colleague"])).one()
        theirs = SignInSession(person_id=people["colleague"], token_hash=b"t" * 32, **idle(work))
        hours.close_on(work, CLOSED)
        kept(work, WeekReview(monday=MONDAY, made_at=work.now, due_at=work.now + DAY))
        work_of = grant, member, kept(work, theirs)
    world = World(practice, create_app(practice=practice), cast, people, adult, young, *work_of)
    for persona in ("anonymous", *people):
        for fresh in (False, True):
            world.keys[persona, fresh] = _key(world, persona, fresh)
    return world


# People


def _people(cast: Cast) -> dict[str, UUID]:
    known = {
        "adult": cast.patient,
        "adolescent": cast.adolescent,
        "other-patient": cast.other_patient,
        "clinician": cast.clinician,
        "clinician-elsewhere": cast.stranger,
        "staff": cast.staff,
        "manager": cast.manager,
    }
    found = {persona: member.person_id for persona, member in known.items()}
    with cast.system() as work:
        elsewhere = next(iter(accounts.teams_of(work, cast.stranger.person_id)))

        def add(persona: str, role: Role, team: UUID | None = None) -> UUID:
            email = f"{persona}@example.net"
            found[persona] = accounts.add_person(work, name=f"{persona} Example", roles={role}, email=email).id
            work.session.flush()
            if team:
                accounts.join_team(work, team, found[persona])
            return found[persona]

        for persona in (*GUARDIANS, "guardian-elsewhere"):
            add(persona, Role.GUARDIAN)
            _represent(work, cast, persona, found[persona])
        _represent(work, cast, "related", add("related", Role.CLINICIAN, cast.team_id))
        work.add(RoleGrant(person_id=found["related"], role=Role.GUARDIAN, valid_from=work.now))
        add("break-glass", Role.CLINICIAN, elsewhere)
        add("colleague", Role.CLINICIAN, cast.team_id)
        add("half", Role.STAFF, elsewhere)
        add("left", Role.CLINICIAN, cast.team_id)
        add("staff-elsewhere", Role.STAFF, elsewhere)
        add("compliance", Role.COMPLIANCE)
    return found


def _represent(work: Work, cast: Cast, persona: str, person: UUID) -> None:
    of = {"guardian-elsewhere": cast.other_patient, "conservator": cast.patient}.get(persona, cast.adolescent)
    row = Proxy(
        patient_id=of.record,
        person_id=person,
        authority=AUTHORITIES.get(persona, Authority.PROBATE_GUARDIAN),
        opens_general=persona != "supporter",
        opens_confidential=persona == "conservator",
        valid_from=work.now - MINUTE,
        valid_until=work.now if persona == "expired" else None,
        suspended_at=work.now if persona == "suspended" else None,
        document="Seen",
        parts=[part.value for part in Part] if persona == "supporter" else [],
    )
    work.add(row)
    work.audited = True


# Browsers


def _key(world: World, persona: str, fresh: bool) -> Key:
    cookies, session = {"telepsych-visitor": "somebody"}, None
    if persona != "anonymous":
        session, cookies["telepsych-session"] = _session(world, persona, fresh)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with world.app.test_request_context(headers={"Cookie": cookie}):
        token = csrf.csrf_token()
    return Key(cookie, token, session)


def _session(world: World, persona: str, fresh: bool) -> tuple[UUID, str]:
    with world.practice.begin(command("test"), public="test") as work:
        work.audited = True
        person = work.session.get_one(Person, world.people[persona])
        workforce = bool(accounts.roles_of(work, person.id) & WORKFORCE)
        stage = Stage.HALF if persona == "half" else Stage.FULL
        epoch = person.epoch - (persona == "left")
        row, token = sessions.start(work, person.id, epoch, workforce=workforce, device="a test", stage=stage)
        shown = work.session.get_one(SignInSession, row.id)
        shown.factor_at = work.now if fresh else work.now - LONG_AGO
        return row.id, token
