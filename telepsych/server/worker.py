"""The worker: sends what waits in the outbox, runs the clocks, sweeps up. One process; its jobs may be run twice.

Every round leaves a sign of life. A job that fails is logged by its kind and tried again; the others go on.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from telepsych.audit import anchors
from telepsych.audit.sequencer import Sequencer
from telepsych.core.actor import system
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import Unavailable, kind_and_place
from telepsych.core.work import Practice, Work
from telepsych.server import beat, recovery_keys

log = logging.getLogger("telepsych.worker")
ROUND = 1.0
"""Seconds between looks at what is due."""

Act = Callable[[Practice], object]


@dataclass
class Job:
    """Something done again and again."""

    name: str
    every: int
    """Microseconds from one run to the next."""
    act: Act
    due_at: int = field(default=0)
    is_failing: bool = field(default=False)


def jobs() -> list[Job]:
    """Everything the worker does, of the rooms that are there."""
    found = [
        _of_room("notifications", "deliver", 2 * SECOND),
        _of_room("visits", "mark_lost", 5 * SECOND),
        _of_room("visits", "forget_signals", 2 * MINUTE),
        _of_room("triage", "escalate", 30 * SECOND),
        _of_room("patients", "grow_up", HOUR),
        _of_room("oversight", "make_weeks", HOUR),
        _of_room("oversight", "remind", HOUR),
        Job("audit.sequence", SECOND, Sequencer().run),
        Job("audit.anchor", 5 * MINUTE, anchors.anchor_due),
        Job("web.prune", 2 * MINUTE, _in_unit("telepsych.web.bus", "prune")),
        Job("server.recovery_copies", 10 * MINUTE, recovery_keys.back_fill),
        Job("web.drop_old", HOUR, _in_unit("telepsych.web.drafts", "drop_old")),
        Job("web.drop_reports", HOUR, _in_unit("telepsych.web.reports", "drop_old")),
    ]
    return [job for job in found if job is not None]


def run(practice: Practice, work_on: Sequence[Job], stop: threading.Event) -> None:
    """Go round until told to stop."""
    while not stop.is_set():
        go_round(practice, work_on)
        stop.wait(ROUND)


def go_round(practice: Practice, work_on: Sequence[Job]) -> None:
    """Run what is due, once, and leave a sign of life."""
    now = practice.clock.now()
    for job in work_on:
        if job.due_at <= now or job.due_at > now + job.every:  # the clock was put back
            job.due_at = now + job.every
            job.is_failing = not _run(practice, job)
    failing = [job.name for job in work_on if job.is_failing]
    beat.write(practice.settings, beat.Beat(practice.clock.now(), os.getpid(), tuple(failing)))


def _run(practice: Practice, job: Job) -> bool:
    try:
        job.act(practice)
    except Unavailable:
        log.warning("job %s: a database is not available", job.name)
        return False
    except Exception as error:
        log.error("job %s: %s", job.name, kind_and_place(error))
        return False
    return True


def _of_room(room: str, name: str, every: int) -> Job | None:
    if find_spec(f"telepsych.{room}") is None or find_spec(f"telepsych.{room}.jobs") is None:
        return None
    return Job(f"{room}.{name}", every, getattr(import_module(f"telepsych.{room}.jobs"), name))


def _in_unit(module: str, name: str) -> Act:
    step: Callable[[Work], None] = getattr(import_module(module), name)

    def act(practice: Practice) -> None:
        with practice.begin(system(name), public=name) as work:
            step(work)

    return act
