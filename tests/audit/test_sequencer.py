"""The sequencer gives every committed entry one place, whenever it commits and whoever is killed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session
from support.templates import Template
from support.trail import examined, note_down, run, sequence

from telepsych.audit import checkpoints
from telepsych.audit import sequencer as sequencing
from telepsych.audit import service as audit
from telepsych.audit.models import AuditCheckpoint, AuditLeaf, AuditRow
from telepsych.audit.notes import Checkpoint, opened, text_of
from telepsych.audit.sequencer import Sequencer
from telepsych.core.actor import command
from telepsych.core.clock import DAY, HOUR
from telepsych.core.ids import new_id
from telepsych.core.work import Practice

TESTS = Path(__file__).parents[1]


def test_batches_end_in_a_signed_checkpoint(practice: Practice) -> None:
    note_down(practice, 1_050)
    assert Sequencer().run(practice) == 1_050
    assert Sequencer().run(practice) == 0
    signer = checkpoints.signer_of(practice.vault, practice.settings)
    with practice.begin(command("test"), writes=False, public="test") as work:
        sizes = work.session.scalars(select(AuditCheckpoint.size).order_by(AuditCheckpoint.size)).all()
        note = checkpoints.latest(work)
    assert sizes == [500, 1_000, 1_050]
    assert note is not None
    assert Checkpoint.parse(opened(note, signer.key)).size == 1_050
    assert text_of(note).startswith("telepsych/")


def test_places_follow_time(practice: Practice) -> None:
    for hours in (0, -2, -1):
        with practice.begin(command("test"), public="test") as work:
            work.now += hours * HOUR
            audit.record(work, "test.noted", f"hours:{hours}")
    sequence(practice)
    with practice.begin(command("test"), writes=False, public="test") as work:
        joined = select(AuditRow.about).join(AuditLeaf, AuditLeaf.row_id == AuditRow.id).order_by(AuditLeaf.leaf_index)
        assert work.session.scalars(joined).all() == ["hours:-2", "hours:-1", "hours:0"]


def test_an_entry_that_commits_late_with_an_early_time_and_id_is_found(practice: Practice) -> None:
    """Neither the time nor the id may serve as a cursor: a transaction can commit after all that came later."""
    early = new_id()
    note_down(practice, 20)
    sequencer = Sequencer()
    assert sequencer.run(practice) == 20
    with practice.begin(command("test"), public="test") as work:
        work.now -= 30 * DAY
        audit.record(work, "test.noted", "thing:late")
        work.session.info[audit.ENTRIES][0].id = early
    assert sequencer.run(practice) == 1


@pytest.mark.parametrize("template", ["postgresql"], indirect=True)
def test_an_entry_in_an_open_transaction_is_waited_for_without_stopping(practice: Practice) -> None:
    sequencer = Sequencer()
    with practice.begin(command("test"), public="test") as work:
        audit.record(work, "test.noted", "thing:slow")
        note_down(practice, 5)
        assert sequencer.run(practice) == 5
    assert sequencer.run(practice) == 1


def test_old_entries_are_walked_over_in_stretches(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "WALK", 200)
    monkeypatch.setattr(sequencing, "AHEAD", 300)
    sequencer = Sequencer()
    note_down(practice, 1)
    assert sequencer.run(practice) == 1
    practice.clock.move(-DAY)  # type: ignore[attr-defined]
    note_down(practice, 410)
    practice.clock.move(2 * DAY)  # type: ignore[attr-defined]
    assert [sequencer.run(practice) for _ in range(4)] == [200, 200, 10, 0]
    note_down(practice, 310)
    assert sequencer.run(practice) == 310
    assert examined(practice).is_whole


def test_after_a_standstill_it_goes_on_where_it_stopped(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited while no worker ran is not left to the walk, which begins far behind in a long trail."""
    note_down(practice, 300)
    assert sequence(practice) == 300
    practice.clock.move(HOUR)  # type: ignore[attr-defined]
    note_down(practice, 50)
    practice.clock.move(DAY)  # type: ignore[attr-defined]
    monkeypatch.setattr(sequencing, "WALK", 10)
    assert Sequencer().run(practice) == 50


def test_a_clock_that_was_put_back_holds_nothing_up(practice: Practice) -> None:
    sequencer = Sequencer()
    for _ in range(3):
        note_down(practice, 5)
        assert sequencer.run(practice) == 5
        practice.clock.move(-HOUR)  # type: ignore[attr-defined]
    assert examined(practice).is_whole


def test_forged_entries_get_no_place_and_hold_nothing_up(practice: Practice, caplog: pytest.LogCaptureFixture) -> None:
    note_down(practice, 3)
    with practice.records.connect() as connection, Session(connection) as session:
        genuine = session.execute(select(AuditRow.__table__)).first()
    assert genuine is not None
    forged = [new_id() for _ in range(5)]
    with practice.begin(command("test"), public="test") as work:
        run(work, insert(AuditRow).values([genuine._asdict() | {"id": one, "at": 1} for one in forged]))
    assert Sequencer(batch=2).run(practice) == 3
    assert {str(one) for one in forged} <= {word for line in caplog.messages for word in line.split()}
    report = examined(practice)
    assert {one.entry for one in report.findings} == {str(one) for one in forged}


def test_of_two_sequencers_one_gives_way(practice: Practice) -> None:
    note_down(practice, 10)
    one, other = Sequencer(), Sequencer()
    read = one._read

    def after_the_other(work: Practice) -> object:
        found = read(work)
        assert other.run(practice) == 10
        return found

    one._read = after_the_other  # type: ignore[method-assign,assignment]
    assert one.run(practice) == 0
    assert examined(practice).size == 10


def test_sequencing_leaves_no_entries_of_its_own(practice: Practice) -> None:
    note_down(practice, 1)
    sequence(practice)
    with practice.begin(command("test"), writes=False, public="test") as work:
        assert work.session.scalar(select(func.count()).select_from(AuditRow)) == 1


def test_killed_at_any_moment_it_leaves_no_gap_and_no_repeat(template: Template, tmp_path: Path) -> None:
    """L5; `benchmarks/sequencer.py` kills two hundred."""
    records, keystore = template.copy_to(tmp_path)
    killing = [sys.executable, "-m", "support.sequencer_kills", str(tmp_path), records, keystore, "20"]
    done = subprocess.run(killing, cwd=TESTS, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["kills"] >= 20
    assert (seen["torn"], seen["found"]) == ([], [])
    assert seen["placed"] == seen["written"] > 0
