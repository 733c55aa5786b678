"""The worker goes round: what is due runs, what fails stops nothing else, and each round leaves a sign of life."""

import threading
from pathlib import Path

import pytest

from telepsych.core.actor import system
from telepsych.core.clock import DAY, HOUR, MINUTE, SECOND, FrozenClock
from telepsych.core.errors import Unavailable
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.server import beat, worker
from telepsych.server.worker import Job
from telepsych.web.models import NewsRow


def test_every_room_with_a_clock_is_served() -> None:
    assert {job.name for job in worker.jobs()} == {
        *("notifications.deliver", "triage.escalate", "visits.mark_lost", "visits.forget_signals"),
        *("web.prune", "web.drop_old", "web.drop_reports", "patients.grow_up", "server.recovery_copies"),
        *("audit.sequence", "audit.anchor", "oversight.make_weeks", "oversight.remind"),
    }


def test_all_jobs_run_on_an_empty_practice(practice: Practice) -> None:
    worker.go_round(practice, worker.jobs())
    heard = beat.read(practice.settings)
    assert heard is not None
    assert (heard.at, heard.failing) == (practice.clock.now(), ())


def test_jobs_run_when_they_are_due(practice: Practice) -> None:
    ran: list[int] = []
    work_on = [Job("often", 10 * SECOND, lambda p: ran.append(p.clock.now()))]
    start = practice.clock.now()
    for _ in range(5):
        worker.go_round(practice, work_on)
        clock_of(practice).move(4 * SECOND)
    assert [at - start for at in ran] == [0, 12 * SECOND]


def test_a_clock_that_was_put_back_stops_no_job(practice: Practice) -> None:
    ran: list[int] = []
    work_on = [Job("often", 10 * SECOND, lambda p: ran.append(p.clock.now()))]
    worker.go_round(practice, work_on)
    clock_of(practice).move(-HOUR)
    worker.go_round(practice, work_on)
    worker.go_round(practice, work_on)
    assert len(ran) == 2


def test_a_failing_job_stops_nothing_and_is_named_until_it_works(
    practice: Practice, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []
    broken = [RuntimeError("Juniper wrote this"), Unavailable()]

    def sometimes(_practice: Practice) -> None:
        if broken:
            raise broken.pop(0)

    work_on = [Job("sometimes", MINUTE, sometimes), Job("always", SECOND, lambda _: ran.append("ran"))]
    failing = []
    for _ in range(5):
        worker.go_round(practice, work_on)
        heard = beat.read(practice.settings)
        assert heard is not None
        failing.append(heard.failing)
        clock_of(practice).move(30 * SECOND)
    assert failing == [("sometimes",)] * 4 + [()]
    assert len(ran) == 5
    assert "RuntimeError" in caplog.text
    assert "Juniper" not in caplog.text


def test_old_news_goes_and_the_newest_stays(practice: Practice) -> None:
    """On SQLite a row's number must not be given out again."""
    with practice.begin(system("test"), public="test") as work:
        for _ in range(3):
            work.session.add(NewsRow(at=work.now - HOUR, name="queue:news", people=[], ids={}))
    work_on = [job for job in worker.jobs() if job.name.startswith("web.")]
    worker.go_round(practice, work_on)
    with practice.begin(system("test"), writes=False, public="test") as work:
        assert work.session.query(NewsRow).count() == 1


def test_the_worker_stops_when_told(practice: Practice) -> None:
    stop = threading.Event()
    worker.run(practice, [Job("last", SECOND, lambda _: stop.set())], stop)
    assert beat.read(practice.settings) is not None


def test_a_sign_of_life_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})
    assert beat.read(settings) is None
    assert beat.is_stale(None, 0)
    beat.write(settings, beat.Beat(5 * DAY, 1))
    assert not beat.is_stale(beat.read(settings), 5 * DAY + MINUTE)
    assert beat.is_stale(beat.read(settings), 5 * DAY + MINUTE + 1)
    beat.file_of(settings).write_text("{", encoding="utf-8")
    assert beat.read(settings) is None


def clock_of(practice: Practice) -> FrozenClock:
    assert isinstance(practice.clock, FrozenClock)
    return practice.clock
