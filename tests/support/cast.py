"""The small cast that every test knows, and browsers signed in as its members. All of them are invented."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.core.actor import WORKFORCE, Actor, Compartment, Role, command
from telepsych.core.work import Practice, Work
from telepsych.patients import service as patients
from telepsych.patients.models import Authority
from telepsych.web import sessions


@dataclass(frozen=True)
class Member:
    """One of the cast."""

    practice: Practice
    name: str
    person_id: UUID
    patient_id: UUID | None = None

    def actor(self, *, fresh: bool = False) -> Actor:
        """The member as an actor, as of now; `fresh` when they have just shown a factor."""
        with self.practice.begin(command("test"), writes=False, public="test") as work:
            return patients.actor_for(work, self.person_id, factor_at=work.now if fresh else None)

    @property
    def record(self) -> UUID:
        """Their own record as a patient."""
        assert self.patient_id is not None
        return self.patient_id


@dataclass(frozen=True)
class Cast:
    """Everybody."""

    practice: Practice
    patient: Member
    other_patient: Member
    adolescent: Member
    guardian: Member
    clinician: Member
    staff: Member
    manager: Member
    stranger: Member
    compliance: Member
    team_id: UUID

    def begin(self, who: Member, *, writes: bool = True, fresh: bool = False) -> AbstractContextManager[Work]:
        """A unit of work of one of them; `fresh` when they have just shown a factor."""
        return self.practice.begin(who.actor(fresh=fresh), writes=writes)

    def system(self, *, writes: bool = True) -> AbstractContextManager[Work]:
        """A unit of work of the practice's own clockwork."""
        return self.practice.begin(command("test"), writes=writes)

    def at(self, practice: Practice) -> "Cast":
        """The same people in a copy of the practice."""
        people = [one.name for one in fields(self) if one.type in (Member, "Member")]
        members = {name: replace(getattr(self, name), practice=practice) for name in people}
        return replace(self, practice=practice, **members)

    def everybody(self) -> Iterator[Member]:
        yield from (self.patient, self.other_patient, self.adolescent, self.guardian)
        yield from (self.clinician, self.staff, self.manager, self.stranger, self.compliance)


def assemble(practice: Practice) -> Cast:
    """Bring the cast into an empty practice, through the services that people use."""
    with practice.begin(command("test")) as work:
        team = accounts.add_team(work, "Elm Team", default=True)
        other_team = accounts.add_team(work, "Oak Team")
        work.session.flush()

        def person(name: str, role: Role, team_id: UUID | None = None, title: str = "") -> Member:
            email = f"{name.removeprefix('Dr. ').split()[0].lower()}@example.org"
            phone = f"(203) 555-01{len(name):02d}" if role in WORKFORCE else ""
            row = accounts.add_person(work, name=name, roles={role}, email=email, phone=phone, title=title)
            if team_id:
                accounts.join_team(work, team_id, row.id)
            return Member(practice, name, row.id)

        def patient(name: str, born: date) -> Member:
            who = person(name, Role.PATIENT)
            row = patients.add_patient(work, name=name, birth_date=born, person_id=who.person_id, team_id=team.id)
            return Member(practice, name, who.person_id, row.id)

        adolescent = patient("Wren Example", date(2011, 6, 1))
        guardian = person("Marlow Example", Role.GUARDIAN)
        patients.add_proxy(
            work,
            adolescent.record,
            guardian.person_id,
            Authority.PARENT,
            document="Birth certificate seen",
            identity="Photo ID seen",
            compartments=frozenset({Compartment.GENERAL}),
        )
        return Cast(
            practice,
            patient=patient("Juniper Example", date(1992, 3, 14)),
            other_patient=patient("Rowan Sample", date(1985, 11, 2)),
            adolescent=adolescent,
            guardian=guardian,
            clinician=person("Dr. Sage Example", Role.CLINICIAN, team.id, "psychiatrist"),
            staff=person("Ash Example", Role.STAFF, team.id, "nurse"),
            manager=person("Hazel Example", Role.MANAGER, team.id),
            stranger=person("Dr. Fern Stranger", Role.CLINICIAN, other_team.id, "psychiatrist"),
            compliance=person("Yarrow Example", Role.COMPLIANCE),
            team_id=team.id,
        )


class Client:
    """A browser without a picture: signed in, and sending what forms and scripts of a page would send."""

    def __init__(self, app: Flask, practice: Practice, who: Member) -> None:
        self.who = who
        self.http: FlaskClient = app.test_client()
        workforce = bool(who.actor().roles & WORKFORCE)
        with practice.begin(command("test"), public="test") as work:
            work.audited = True
            epoch = work.session.scalars(select(Person.epoch).where(Person.id == who.person_id)).one()
            row, token = sessions.start(work, who.person_id, epoch, workforce=workforce, device="a test")
        self.token = practice.vault.mac("csrf", f"session:{row.id}".encode()).hex()
        self.http.set_cookie("telepsych-session", token)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.http.get(path, **more)

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        return self.http.post(path, data=data, headers=self._headers(more), **more)

    def put(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.http.put(path, json=json, headers=self._headers(more), **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.http.delete(path, headers=self._headers(more), **more)

    def _headers(self, more: dict[str, Any]) -> dict[str, str]:
        return {"X-CSRF-Token": self.token, **more.pop("headers", {})}
