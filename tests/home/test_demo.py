"""The fictional practice: made through the services that people use, and never without a visit ahead."""

import json

from sqlalchemy import func, select

from telepsych.core.actor import command
from telepsych.core.clock import DAY
from telepsych.core.work import Practice
from telepsych.demo.seed import ACCOUNTS, refresh, seed
from telepsych.patients.models import Patient
from telepsych.scheduling.models import Appointment

ROLES = ["patient", "patient", "adolescent", "guardian", "clinician", "staff", "manager", "compliance"]


def booked(practice: Practice) -> int:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return work.session.scalar(select(func.count()).select_from(Appointment)) or 0


def test_everybody_is_there_and_another_visit_is_booked_when_the_last_is_past(practice: Practice) -> None:
    made = seed(practice)
    kept = practice.settings.data / ACCOUNTS
    assert json.loads(kept.read_text(encoding="utf-8")) == made
    assert kept.stat().st_mode & 0o077 == 0
    assert [one["role"] for one in made] == ROLES
    with_codes = ("clinician", "staff", "manager", "compliance")
    assert all(("totp_secret" in one) == (one["role"] in with_codes) for one in made)
    assert booked(practice) == 3
    refresh(practice)
    assert booked(practice) == 3
    practice.clock.move(3 * DAY)
    refresh(practice)
    refresh(practice)
    assert booked(practice) == 4


def test_nobody_is_made_twice(practice: Practice) -> None:
    refresh(practice)  # an empty practice has nobody to book for
    assert booked(practice) == 0
    with practice.begin(command("test"), writes=False, public="test") as work:
        assert work.session.scalars(select(Patient)).all() == []
