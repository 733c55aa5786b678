"""Presence and signals: inside one live process, between two, and for those who have no business there."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from support.cast import Cast, Member

from telepsych.core.actor import Actor
from telepsych.core.clock import MINUTE
from telepsych.core.work import News, Practice, Work
from telepsych.visits import events, jobs
from telepsych.visits.models import VisitPresence, VisitSignal
from telepsych.web import live
from telepsych.web.live_events import answer_event, couriers

from .conftest import Booked

OFFER = {"kind": "description", "link": "a", "to_link": None, "turn": 1}
SDP = "v=0\r\na=fingerprint:sha-256 AA:BB\r\n"
SIGNAL = {**OFFER, "description": {"type": "offer", "sdp": SDP}}


class Bell:
    """Keeps news until the test rings it."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def put(self, session: object, news: Sequence[News], now: int) -> None:
        self.news.extend(news)


class Process:
    """A live process without a network: what it says to its sockets is written down."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.said: list[tuple[str, str, dict[str, Any]]] = []
        self.refusals: list[str] = []

    def emit_to(self, people: Collection[UUID], name: str, data: Mapping[str, Any]) -> None:
        raise AssertionError("pages are told one by one")

    def emit_to_sockets(self, sids: Collection[str], name: str, data: Mapping[str, Any]) -> None:
        self.said += [(sid, name, dict(data)) for sid in sids]

    def people_here(self, people: Collection[UUID]) -> frozenset[UUID]:
        return frozenset()

    def may_speak(self, caller: live.Caller) -> bool:
        return True

    def actor_now(self, caller: live.Caller) -> Actor:
        return caller.actor

    def write(self, actor: Actor, act: Callable[[Work], Any], public: str = "") -> Any:
        with self.practice.begin(actor, public=public) as work:
            return act(work)

    def note_refusal(self, caller: live.Caller, about: str, reason: str) -> None:
        self.refusals.append(about)

    def page(self, who: Member) -> live.Caller:
        return live.Caller(f"sid-{uuid4()}", uuid4(), who.actor(), self)

    def heard(self, page: live.Caller, name: str) -> list[dict[str, Any]]:
        return [data for sid, said, data in self.said if sid == page.sid and said == name]


@pytest.fixture
def bell(practice: Practice) -> Iterator[Bell]:
    bell = Bell()
    practice.bus = bell
    yield bell
    events.callers.clear()
    events.fingerprints.clear()


def ring(bell: Bell, process: Process) -> None:
    """Bring everything announced so far to a process."""
    for news in bell.news:
        if news.name in couriers:
            couriers[news.name](process, news)
    bell.news.clear()


def enter(process: Process, booked: Booked, who: Member) -> live.Caller:
    page = process.page(who)
    assert answer_event(page, "presence", ({"visit": str(booked.id), "here": True},)) == {"ok": True}
    return page


def send(page: live.Caller, booked: Booked, to: Member, **changes: Any) -> dict[str, Any]:
    data = {"visit": str(booked.id), "to": str(to.person_id), "payload": {**SIGNAL, **changes}}
    return answer_event(page, "visit:signal", (data,))


def test_each_hears_who_came_and_who_went(cast: Cast, booked: Booked, bell: Bell) -> None:
    process = Process(cast.practice)
    booked.begin()
    clinician = enter(process, booked, cast.clinician)
    patient = enter(process, booked, cast.patient)
    ring(bell, process)
    both = [str(cast.clinician.person_id), str(cast.patient.person_id)]
    assert process.heard(clinician, "presence")[-1] == {
        "visit": str(booked.id),
        "present": both,
        "newcomer": str(cast.patient.person_id),
    }
    events.gone(patient)
    ring(bell, process)
    assert process.heard(clinician, "presence")[-1] == {"visit": str(booked.id), "present": both[:1]}


def test_a_signal_in_one_process_goes_straight_to_the_other_page(cast: Cast, booked: Booked, bell: Bell) -> None:
    process = Process(cast.practice)
    booked.begin()
    clinician, patient = enter(process, booked, cast.clinician), enter(process, booked, cast.patient)
    assert send(patient, booked, cast.clinician) == {"ok": True, "reached": True}
    said = process.heard(clinician, "visit:signal")
    assert said == [{"visit": str(booked.id), "from": str(cast.patient.person_id), "payload": SIGNAL}]
    assert not any(news.name == "visit:signal-waiting" for news in bell.news)


def test_a_signal_to_another_process_lies_in_the_mailbox(cast: Cast, booked: Booked, bell: Bell) -> None:
    here, there = Process(cast.practice), Process(cast.practice)
    booked.begin()
    clinician, patient = enter(there, booked, cast.clinician), enter(here, booked, cast.patient)
    bell.news.clear()
    elsewhere = events.callers.pop((clinician.sid, booked.id))  # the other process has a memory of its own
    assert send(patient, booked, cast.clinician) == {"ok": True, "reached": True}
    assert [news.people for news in bell.news] == [(cast.clinician.person_id,)]
    assert set(bell.news[0].ids) == {"visit", "signal"}
    events.callers[clinician.sid, booked.id] = elsewhere
    ring(bell, there)
    assert there.heard(clinician, "visit:signal")[0]["payload"] == SIGNAL
    cast.practice.clock.move(MINUTE)  # type: ignore[attr-defined]
    jobs.forget_signals(cast.practice)
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalar(select(func.count()).select_from(VisitSignal)) == 0


def test_a_mailbox_is_closed_once_the_visit_is_over(cast: Cast, booked: Booked, bell: Bell) -> None:
    here, there = Process(cast.practice), Process(cast.practice)
    booked.begin()
    clinician, patient = enter(there, booked, cast.clinician), enter(here, booked, cast.patient)
    elsewhere = events.callers.pop((clinician.sid, booked.id))
    send(patient, booked, cast.clinician)
    waiting = [news for news in bell.news if news.name == "visit:signal-waiting"]
    booked.end()
    events.callers[clinician.sid, booked.id] = elsewhere
    couriers["visit:signal-waiting"](there, waiting[0])
    assert there.heard(clinician, "visit:signal") == []
    assert there.refusals


def test_the_uninvited_get_no_word_in(cast: Cast, booked: Booked, bell: Bell) -> None:
    process = Process(cast.practice)
    booked.begin()
    clinician = enter(process, booked, cast.clinician)
    for who in (cast.other_patient, cast.stranger, cast.guardian, cast.staff):
        page = process.page(who)
        assert not answer_event(page, "presence", ({"visit": str(booked.id), "here": True},))["ok"]
        assert not send(page, booked, cast.clinician)["ok"]
    patient = enter(process, booked, cast.patient)
    assert send(patient, booked, cast.stranger)["status"] == 404
    assert send(patient, booked, cast.clinician, more="x")["status"] == 422
    assert send(patient, booked, cast.clinician, description={"type": "offer", "sdp": "x" * 16_000})["status"] == 413
    booked.end()
    assert send(patient, booked, cast.clinician)["status"] == 403
    assert process.heard(clinician, "visit:signal") == []
    with cast.system(writes=False) as work:
        work.asked = True
        assert set(work.session.scalars(select(VisitPresence.person_id))) == {
            cast.clinician.person_id,
            cast.patient.person_id,
        }
