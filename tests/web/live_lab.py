"""A practice with a live group and nothing else, for tests: built in the test, and again in each server process."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from support.limits import FASTER_THAN_PEOPLE

from telepsych.accounts.models import Person
from telepsych.core.actor import Actor, Decision, Role, system
from telepsych.core.clock import SystemClock
from telepsych.core.database import Base, WriteLock, open_engine
from telepsych.core.errors import Refused
from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work
from telepsych.crypto import keyring
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.vault import open_vault
from telepsych.web import live, sessions
from telepsych.web.bus import bus_for
from telepsych.web.doors import Web
from telepsych.web.live_ticket import issue_ticket
from telepsych.web.models import SignInSession

T = TypeVar("T")
HTTP_PORT = "18000"
ORIGIN = f"http://127.0.0.1:{HTTP_PORT}"


class Lab:
    """The practice, with the few acts that tests of the live group need."""

    def __init__(self, data: Path, records_url: str) -> None:
        settings = Settings(data=data, records_url=records_url, **FASTER_THAN_PEOPLE)
        engine = open_engine(settings.records)
        if not settings.keyring_file.exists():
            keyring.create(settings.keyring_file)
        vault = open_vault(settings)
        lock = WriteLock(engine)
        self.practice = Practice(settings, engine, vault, SystemClock(), bus_for(engine), lock)
        self.web = Web(self.practice, identify, epoch_of)
        self.is_over = False
        """Whether the test is done; whoever listens may stop."""

    def create_tables(self) -> "Lab":
        Base.metadata.create_all(self.practice.records)
        KeystoreBase.metadata.create_all(self.practice.vault.keystore)
        return self

    def do(self, act: Callable[[Work], T], actor: Actor | None = None) -> T:
        """Do something in a unit of work."""
        with self.practice.begin(actor or system("lab"), public="lab") as work:
            work.audited = True
            return act(work)

    def person(self) -> UUID:
        """Somebody new."""
        person = Person(id=new_id(), epoch=1, created_at=0, name="Juniper Example", title="", email="", phone="")
        self.do(lambda work: work.add(person))
        return person.id

    def sign_in(self, person: UUID | None = None) -> "SignedIn":
        """A session of a person, by default of somebody new."""
        who = person or self.person()
        row, token = self.do(lambda work: sessions.start(work, who, 1, workforce=False, device="a test"))
        return SignedIn(self, who, row.id, token)

    def tell(self, people: Collection[UUID], name: str, **ids: Any) -> None:
        """Announce news in a unit that commits."""
        self.do(lambda work: work.announce(people, name, **ids))


class SignedIn:
    """One person's session."""

    def __init__(self, lab: Lab, person: UUID, session: UUID, token: str) -> None:
        self.lab, self.person, self.session, self.token = lab, person, session, token

    def ticket(self) -> str:
        """A fresh ticket."""
        actor = Actor(id=self.person, session_id=self.session)
        return self.lab.do(lambda work: issue_ticket(work, self.session), actor)

    def sign_out(self) -> None:
        """End the session, with news of it."""
        self.lab.do(lambda work: sessions.end(work, self.session))

    def change(self, **values: Any) -> None:
        """Change the session row behind everybody's back, without news."""

        def change(work: Work) -> None:
            row = work.session.get(SignInSession, self.session)
            for name, value in values.items():
                setattr(row, name, value)

        self.lab.do(change)


def identify(work: Work, row: SignInSession) -> Actor:
    return Actor(id=row.person_id, roles=frozenset({Role.PATIENT}), session_id=row.id)


def epoch_of(work: Work, row: SignInSession) -> int:
    return work.session.scalar(select(Person.epoch).where(Person.id == row.person_id)) or 0


def epochs_of(work: Work, people: Collection[UUID]) -> Mapping[UUID, int]:
    rows = work.session.execute(select(Person.id, Person.epoch).where(Person.id.in_(people)))
    return {row.id: row.epoch for row in rows}


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Echo(Input):
    n: int
    text: str = Field("", max_length=50_000)


class Nothing(Input):
    pass


class Tell(Input):
    person: str
    n: int


class Whom(Input):
    person: str


came_and_went: list[tuple[str, str]] = []


@live.event("lab:echo", Echo, rate=(1_000, 1), size=60_000)
def echo(caller: live.Caller, data: Echo) -> dict[str, Any]:
    return {"n": data.n, "person": str(caller.person_id), "worker": os.getpid()}


@live.event("lab:small", Echo, rate=(3, 60), size=100)
def small(caller: live.Caller, data: Echo) -> None:
    return None


@live.event("lab:refused", Nothing, rate=(100, 1))
def refused(caller: live.Caller, data: Nothing) -> None:
    raise Refused("Only the clinician can do this.")


@live.event("lab:defect", Echo, rate=(100, 1))
def defect(caller: live.Caller, data: Echo) -> None:
    raise RuntimeError(data.text)


@live.event("lab:unasked", Nothing, rate=(100, 1))
def unasked(caller: live.Caller, data: Nothing) -> None:
    with caller.read():
        pass


@live.event("lab:relay", Tell, rate=(100, 1))
def relay(caller: live.Caller, data: Tell) -> dict[str, Any]:
    here = caller.sockets.people_here([UUID(data.person)])
    live.emit_to(here, "lab:relayed", {"n": data.n})
    return {"here": len(here)}


@live.event("lab:announce", Tell, rate=(100, 1))
def announce(caller: live.Caller, data: Tell) -> None:
    def say(work: Work) -> None:
        work.require(Decision(True))
        work.announce([UUID(data.person)], "conversation:news", seq=data.n)

    caller.write(say)


@live.event("lab:seen", Whom, rate=(1_000, 1))
def seen(caller: live.Caller, data: Whom) -> dict[str, Any]:
    return {"seen": [what for person, what in came_and_went if person == data.person]}


@live.on_connect
def came(caller: live.Caller) -> None:
    came_and_went.append((str(caller.person_id), "came"))


@live.on_disconnect
def went(caller: live.Caller) -> None:
    came_and_went.append((str(caller.person_id), "went"))


class Rounds:
    """How often this process swept, and in which round it put each session's sockets out."""

    def __init__(self) -> None:
        self.started = 0
        self.put_out: dict[str, int] = {}

    def watch(self) -> None:
        """Count from now on. `LAB_SWEEP=off` leaves the news alone to do it, `LAB_NEWS=lost` the sweep alone."""
        sweep, put_out = live.Live.sweep, live.Live.put_out

        def count(one: live.Live) -> None:
            self.started += 1
            if os.environ.get("LAB_SWEEP") != "off":
                sweep(one)

        def note(one: live.Live, caller: live.Caller, worth: Any) -> None:
            self.put_out.setdefault(str(caller.session_id), self.started)
            put_out(one, caller, worth)

        live.Live.sweep, live.Live.put_out = count, note  # type: ignore[method-assign]
        if os.environ.get("LAB_NEWS") == "lost":
            live.Live.deliver = lambda _one, _news: None  # type: ignore[method-assign]


rounds = Rounds()


class Which(Input):
    session: str = ""


@live.event("lab:rounds", Which, rate=(1_000, 1))
def rounds_so_far(caller: live.Caller, data: Which) -> dict[str, Any]:
    """How many sweeps have begun; and in which one a session was put out, if it was."""
    return {"started": rounds.started, "put_out": rounds.put_out.get(data.session)}


@live.on_news("lab:mail")
def deliver_mail(sockets: live.Sockets, news: Any) -> None:
    sockets.emit_to(news.people, "lab:mail", {"from_worker": os.getpid()})


@live.on_news("lab:flood")
def flood(sockets: live.Sockets, news: Any) -> None:
    sockets.emit_to(news.people, "lab:flood", {"much": "x" * 60_000})


def app() -> Any:
    """The WSGI app of a server process."""
    lab = Lab(Path(os.environ["LAB_DATA"]), os.environ["LAB_RECORDS"])
    mode = os.environ.get("LAB_MODE", "gevent")
    rounds.watch()
    return live.create_live(lab.practice, lab.web, async_mode=mode, epochs=epochs_of)[0]
