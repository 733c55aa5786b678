"""Whatever is done to the trail is detected and located (L1), and rewriting all of it contradicts its anchor (L2)."""

from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update
from support.tampering import ROWS, WAYS, cut, edit, first_bad, remove, swap
from support.trail import attacked, drop_guards, examined, note_down, row_at, run, sequence

from telepsych.audit import anchors, checkpoints
from telepsych.audit.examine import Report
from telepsych.audit.models import AuditAnchor, AuditCheckpoint, AuditLeaf, AuditNode, AuditRow
from telepsych.audit.sequencer import Sequencer, TreeDamaged
from telepsych.audit.service import mac_of
from telepsych.audit.verify import verify
from telepsych.core.actor import command
from telepsych.core.ids import new_id
from telepsych.core.work import Practice, Work


@pytest.fixture
def trail(practice: Practice) -> Practice:
    """Two thousand entries, each in its place."""
    note_down(practice, ROWS)
    assert sequence(practice, 250) == ROWS
    return practice


def indexes(report: Report) -> list[int]:
    return sorted(one.index for one in report.findings if one.index is not None and one.kind not in ("root", "node"))


def looked_at(work: Work) -> Report:
    return verify(work)


SAMPLE = (0, 1, 249, 250, 255, 256, 777, 1_024, 1_998, 1_999)


def test_an_untouched_trail_is_whole(trail: Practice) -> None:
    report = examined(trail)
    assert (report.size, report.checkpoints, report.waiting, report.findings) == (ROWS, 8, 0, [])
    with attacked(trail) as work:
        assert looked_at(work).is_whole  # dropping the guards alone changes nothing


@pytest.mark.parametrize("way", WAYS)
def test_one_change_is_detected_and_located(trail: Practice, way: str) -> None:
    """L1, one change at a time; `benchmarks/audit_tampering.py` does it for every entry."""
    for at in SAMPLE:
        with attacked(trail) as work:
            WAYS[way](work, at)
            report = looked_at(work)
        assert (report.is_whole, report.first_bad) == (False, first_bad(way, at)), (way, at)


@pytest.mark.parametrize("odd", [0, 1])
def test_every_entry_that_was_changed_is_named_and_no_other(trail: Practice, odd: int) -> None:
    """L1 for all 2,000 entries, each by itself: half of them are changed, and exactly these are found."""
    changed = list(range(odd, ROWS, 2))
    for change in (edit, remove):
        with attacked(trail) as work:
            for at in changed:
                change(work, at)
            assert indexes(looked_at(work)) == changed
    with attacked(trail) as work:
        for at in range(odd, ROWS - 1, 4):
            swap(work, at)
        moved = {place for at in range(odd, ROWS - 1, 4) for place in (at, at + 1)}
        assert indexes(looked_at(work)) == sorted(moved)


def test_entries_without_a_place_must_be_genuine(trail: Practice) -> None:
    forged = []
    with attacked(trail) as work:
        for row in work.session.execute(select(AuditRow.__table__).limit(ROWS)).all():
            forged.append(new_id())
            run(work, insert(AuditRow).values(row._asdict() | {"id": forged[-1]}))
        found = {UUID(str(one.entry)) for one in looked_at(work).findings}
    assert found == set(forged)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (update(AuditLeaf).where(AuditLeaf.leaf_index == 700).values(leaf_hash=b"h" * 32), "leaf-altered"),
        (update(AuditLeaf).where(AuditLeaf.leaf_index == 700).values(mac=b"h" * 32), "leaf-altered"),
        (update(AuditNode).where(AuditNode.node_index == 2).values(node_hash=b"h" * 32), "node"),
        (delete(AuditNode).where(AuditNode.node_index == 2), "node"),
        (insert(AuditNode).values(level=8, node_index=7, node_hash=b"h" * 32), "node"),
        (update(AuditCheckpoint).where(AuditCheckpoint.size == 1_000).values(root=b"h" * 32), "checkpoint"),
        (update(AuditCheckpoint).where(AuditCheckpoint.size == 1_000).values(note="x\n\n"), "signature"),
        (delete(AuditCheckpoint).where(AuditCheckpoint.size == ROWS), "unsigned"),
    ],
    ids=str,
)
def test_the_tree_itself_is_guarded_too(trail: Practice, statement: object, kind: str) -> None:
    with attacked(trail) as work:
        run(work, statement)
        assert kind in {one.kind for one in looked_at(work).findings}


@pytest.mark.parametrize("index", [2**60, -(2**60), ROWS + 5_000])
def test_an_absurd_place_is_a_finding_and_no_endless_list(trail: Practice, index: int) -> None:
    with attacked(trail) as work:
        leaf = {"leaf_index": index, "row_id": new_id(), "leaf_hash": b"h" * 32, "mac": b"m" * 32}
        run(work, insert(AuditLeaf).values(**leaf))
        report = looked_at(work)
    assert {"leaf-altered", "leaf-missing"} <= {one.kind for one in report.findings}
    assert len(report.findings) < 2 * ROWS + 100


def rebuild(practice: Practice, victim: int) -> None:
    """What somebody can do who has the database and every key: change an entry and build everything anew over it."""
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        row = work.session.execute(select(AuditRow.__table__).where(AuditRow.id == row_at(victim))).one()
        changed = AuditRow(**row._asdict() | {"action": "test.nothing"})
        values = {"action": "test.nothing", "mac": mac_of(practice.vault, changed)}
        run(work, update(AuditRow).where(AuditRow.id == row.id).values(values))
        for table in (AuditLeaf, AuditNode, AuditCheckpoint, AuditAnchor):
            run(work, delete(table))
    assert sequence(practice, 250) == ROWS


def test_a_rebuilt_tree_contradicts_its_anchor(trail: Practice) -> None:
    """L2: nothing inside shows it, everything that is held outside does."""
    anchored = trail.settings.model_copy(update={"anchor_file": str(trail.settings.data / "anchors.jsonl")})
    trail.settings = anchored
    assert anchors.anchor_now(trail) == ["file"]
    with trail.begin(command("test"), writes=False, public="test") as work:
        kept = checkpoints.latest(work)
    assert kept is not None
    rebuild(trail, 1_234)

    report = examined(trail)
    assert [one.kind for one in report.findings] == ["root"]
    assert "the file anchor" in report.findings[0].sentence
    trail.settings = anchored.model_copy(update={"anchor_file": ""})
    assert examined(trail).is_whole
    assert [one.kind for one in examined(trail, against=[kept]).findings] == ["root"]


def test_a_tree_that_was_rolled_back_whole_contradicts_its_anchor(trail: Practice) -> None:
    trail.settings = trail.settings.model_copy(update={"anchor_file": str(trail.settings.data / "anchors.jsonl")})
    anchors.anchor_now(trail)
    with attacked(trail) as work:
        cut(work, 1_750)
        run(work, delete(AuditCheckpoint).where(AuditCheckpoint.size > 1_750))
        report = looked_at(work)
        assert {one.kind for one in report.findings} == {"truncated", "checkpoint"}
        assert report.first_bad == 1_750


def test_nothing_is_signed_over_a_damaged_tree(trail: Practice) -> None:
    with trail.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        run(work, update(AuditLeaf).where(AuditLeaf.leaf_index == ROWS - 1).values(leaf_hash=b"h" * 32))
    note_down(trail, 1)
    with pytest.raises(TreeDamaged):
        Sequencer().run(trail)
    assert examined(trail).waiting == 1
