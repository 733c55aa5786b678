"""`telepsych doctor` has a line for each safeguard of the law, and names what is missing."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from support.cast import Cast
from support.practice import mark_head

from telepsych.accounts.models import Factor, Person, RoleGrant
from telepsych.audit import guards
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Role, command
from telepsych.core.clock import DAY, HOUR, MINUTE, SECOND, FrozenClock
from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps
from telepsych.server import beat, safeguard_looks, safeguards
from telepsych.server.backups import making, manifest, places
from telepsych.server.backups.places import Drilled, Places
from telepsych.server.findings import Installation, Line
from telepsych.web import sessions

SET = {
    "origin": "https://visits.example.org",
    "turn_urls": ("turns:turn.example.org:5349",),
    "agreements": ("turn.example.org",),
    "anchor_file": "",
}


@dataclass
class Examined:
    """A practice that has done everything that is asked for, until a test takes something away."""

    practice: Practice
    settings: Settings

    @property
    def clock(self) -> FrozenClock:
        clock = self.practice.clock
        assert isinstance(clock, FrozenClock)
        return clock

    def lines(self, **more: object) -> list[Line]:
        settings = self.settings.model_copy(update=more)
        return list(safeguards.examine(Installation(settings, self.clock)))

    def gaps(self, **more: object) -> dict[str, Line]:
        found = [line for line in self.lines(**more) if line.state != "ok"]
        assert all(line.what and line.why and line.fix for line in found)
        return {line.name: line for line in found}

    def change(self, *statements: object) -> None:
        with Session(self.practice.records.execution_options(telepsych_writes=True)) as session:
            for statement in statements:
                session.execute(statement)  # type: ignore[call-overload]
            session.commit()


@pytest.fixture
def well(practice: Practice, cast: Cast, tmp_path: Path) -> Examined:
    mark_head(practice)
    public, _shares = recovery.new_recovery_key(manifest.signer_name(practice.vault))
    recovery_wraps.install(practice.vault, public)
    made = making.make(practice, Places(*(tmp_path / "volumes" / part for part in "abc")))
    places.note_drill(practice.settings, Drilled(made.id, practice.clock.now(), True, 1.0))
    beat.write(practice.settings, beat.Beat(practice.clock.now(), 1))
    away = {"data": tmp_path / "data", "keyring": tmp_path / "elsewhere" / "keyring.json"}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    practice.settings.keyring_file.rename(away["keyring"])
    (practice.settings.data / "run").rename(away["data"] / "run")
    _set_file_times(tmp_path, practice.clock.now())
    return Examined(practice, practice.settings.model_copy(update=SET | away))


def _set_file_times(folder: Path, at: int) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, (at / SECOND, at / SECOND))


@pytest.fixture
def gaps(well: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Line]]:
    """What is missing, as if files and database kept the practice's time."""
    if well.practice.records.dialect.name == "postgresql":
        monkeypatch.setattr(safeguard_looks, "_database_time", lambda view: view.now)

    def look(**more: object) -> dict[str, Line]:
        _set_file_times(tmp_path, well.clock.now())
        return well.gaps(**more)

    return look


Gaps = Callable[..., dict[str, Line]]


def test_every_safeguard_has_a_line_with_its_rule(well: Examined) -> None:
    lines = well.lines()
    assert {line.name for line in lines} == {one.id.lower() for one in safeguards.safeguards()}
    assert {f"hs-{number}" for number in range(1, 15)} <= {line.name for line in lines}
    rules = {one.id.lower(): one.rule for one in safeguards.safeguards()}
    assert all(rules[line.name] in line.what for line in lines)


def test_a_practice_that_does_what_is_asked_lacks_only_its_anchor(well: Examined, gaps: Gaps) -> None:
    assert set(gaps()) == {"hs-6"}


def test_on_this_machine_alone_it_is_said_mildly(practice: Practice) -> None:
    mark_head(practice)
    settings = practice.settings.model_copy(update={"origin": ""})
    lines = safeguards.examine(Installation(settings, practice.clock))
    mild = {line.name: line.state for line in lines if line.name in ("hs-2", "hs-6", "hs-10")}
    assert set(mild.values()) == {"warn"}


def test_somebody_who_left_and_is_still_signed_in(well: Examined, cast: Cast, gaps: Gaps) -> None:
    with well.practice.begin(command("test"), public="test") as work:
        work.audited = True
        sessions.start(work, cast.staff.person_id, 1, workforce=True, device="a test")
    assert "hs-1" not in gaps()
    well.change(update(Person).where(Person.id == cast.staff.person_id).values(left_at=well.clock.now()))
    assert "1 sessions" in gaps()["hs-1"].what


def test_nobody_to_review_emergencies(well: Examined, gaps: Gaps) -> None:
    well.change(update(RoleGrant).where(RoleGrant.role == Role.COMPLIANCE).values(valid_until=1))
    assert gaps()["hs-2"].state == "fault"


def test_staff_with_a_password_alone(well: Examined, cast: Cast, gaps: Gaps) -> None:
    person = cast.clinician.person_id
    well.change(delete(Factor).where(Factor.person_id == person, Factor.kind != "password"))
    with Session(well.practice.records) as session:
        has_password = session.scalar(select(Factor.id).where(Factor.person_id == person)) is not None
    if not has_password:
        _give_password(well, person)
    assert "1 people" in gaps()["hs-8"].what


def _give_password(well: Examined, person: object) -> None:
    row = Factor(id=new_id(), person_id=person, kind="password", created_at=1, confirmed_at=1)
    info = {"vault": well.practice.vault, "touched": []}
    with Session(well.practice.records.execution_options(telepsych_writes=True), info=info) as session:
        row.secret = "hash"
        session.add(row)
        session.commit()


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("hs-3", {"staff_idle": 3600}, "staff_idle is 60 minutes"),
        ("hs-5", {"origin": "http://visits.example.org"}, "without TLS"),
        ("hs-5", {"turn_urls": ()}, "No relay"),
        ("hs-12", {"smtp_url": "smtp://u:p@mail.example.net:587"}, "mail.example.net"),
        ("hs-12", {"agreements": ()}, "turn.example.org"),
    ],
)
def test_a_setting_that_leaves_a_gap(gaps: Gaps, name: str, more: dict[str, object], words: str) -> None:
    found = gaps(**more)
    assert set(found) == {"hs-6", name}
    assert words in found[name].what
    assert "u:p" not in found[name].what


def test_a_keyring_that_others_read(well: Examined, gaps: Gaps) -> None:
    well.settings.keyring_file.chmod(0o444)
    assert "read by others" in gaps()["hs-4"].what


def test_backups_that_grow_old_vanish_or_were_never_made(well: Examined, gaps: Gaps) -> None:
    well.clock.move(48 * HOUR)
    beat.write(well.settings, beat.Beat(well.clock.now(), 1))
    assert "48 hours old" in gaps()["hs-10"].what
    well.clock.move(-48 * HOUR)
    beat.write(well.settings, beat.Beat(well.clock.now(), 1))
    last = places.last(well.settings)
    assert last is not None
    Path(last.files["keystore"]).unlink()
    assert "keystore file" in gaps()["hs-10"].what
    (well.settings.data / "run" / "backup.json").unlink()
    assert "No backup" in gaps()["hs-10"].what


def test_drills_that_failed_or_are_long_ago(well: Examined, gaps: Gaps) -> None:
    now = well.clock.now()
    for drilled, words in (
        (Drilled("x", now, False, 1.0, "A row does not open."), "failed: A row does not open."),
        (Drilled("x", now - 181 * DAY, True, 1.0), "181 days ago"),
    ):
        places.note_drill(well.settings, drilled)
        found = gaps()["hs-10"]
        assert (found.state, words in found.what) == ("fault", True)


def test_data_keys_without_a_copy_and_no_recovery_key(well: Examined, gaps: Gaps) -> None:
    with Session(well.practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        session.execute(delete(recovery_wraps.KeyWrap).where(recovery_wraps.KeyWrap.recipient == "recovery"))
        session.commit()
    assert "have no copy" in gaps()["hs-10"].what
    with Session(well.practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        session.execute(delete(recovery_wraps.RecoveryPublic))
        session.commit()
    assert "no recovery key" in gaps()["hs-10"].what


def test_a_guard_that_was_taken_away(well: Examined, gaps: Gaps) -> None:
    dialect = well.practice.records.dialect.name
    with well.practice.records.execution_options(telepsych_writes=True).begin() as connection:
        for statement in guards.removals(dialect, "audit_row"):
            connection.exec_driver_sql(statement)
    found = gaps()
    assert {"hs-7", "hs-11"} <= set(found)
    assert "audit_row" in found["hs-7"].what


def test_a_trail_that_nobody_puts_in_its_tree(well: Examined, gaps: Gaps) -> None:
    well.clock.move(HOUR)
    beat.write(well.settings, beat.Beat(well.clock.now(), 1))
    assert any("not in its tree" in line.what for line in well.lines())


# The clock is wrong


def test_a_clock_that_is_behind_what_was_written(well: Examined, gaps: Gaps) -> None:
    """The clock ran a day ahead, and was set right: what was written meanwhile lies in the future."""
    well.clock.move(DAY)
    with well.practice.begin(command("test")) as work:
        work.asked = True
        making.audit.record(work, "test.acted", "test:1", purpose="operations")
    well.clock.move(-DAY)
    found = gaps()["clock"]
    assert (found.state, "newest entry" in found.what, "86400 s" in found.what) == ("fault", True, True)


def test_a_clock_that_is_behind_files(well: Examined, gaps: Gaps) -> None:
    assert "clock" not in gaps()
    file = beat.file_of(well.settings)
    os.utime(file, (0, well.clock.now() / SECOND + 3600))
    assert any("worker.json is 3600 s ahead" in line.what for line in well.lines())


def test_a_clock_beside_the_databases_own(well: Examined) -> None:
    """The tests' clock stands in November 2026, PostgreSQL's does not: that is what is found."""
    lines = [line for line in well.lines() if line.name == "clock"]
    is_told = any("database" in line.what for line in lines)
    assert is_told == (well.practice.records.dialect.name == "postgresql")


def test_after_a_wrong_clock_work_goes_on(well: Examined, cast: Cast) -> None:
    """An hour back: entries are still written, and keep the order in which they were made."""
    before = well.clock.now()
    for step in (HOUR, -HOUR, MINUTE):
        well.clock.move(step)
        with well.practice.begin(command("test")) as work:
            work.asked = True
            making.audit.record(work, "test.acted", "test:1", purpose="operations")
    with Session(well.practice.records) as session:
        at = session.scalars(select(AuditRow.at).where(AuditRow.action == "test.acted").order_by(AuditRow.id)).all()
    assert list(at) == [before + HOUR, before, before + MINUTE]
