"""Anchors outside confirm checkpoints, refuse what does not go on from them, and show a tree that was rewritten."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from support.practice import TUESDAY_MORNING, build_practice
from support.templates import Template
from support.trail import drop_guards, examined, note_down, run, sequence
from support.tsa import Authority, authority
from werkzeug.serving import make_server

from telepsych.app import create_app
from telepsych.audit import anchors, checkpoints
from telepsych.audit.models import AuditAnchor, AuditCheckpoint, AuditLeaf, AuditRow, AuditWitness
from telepsych.audit.outside import AnchorFailed
from telepsych.core.actor import command
from telepsych.core.clock import HOUR, MINUTE, FrozenClock
from telepsych.core.work import Practice


def setting(practice: Practice, **values: Any) -> None:
    practice.settings = practice.settings.model_copy(update=values)


def grow(practice: Practice, count: int) -> None:
    note_down(practice, count)
    sequence(practice)


def latest(practice: Practice) -> str:
    with practice.begin(command("test"), writes=False, public="test") as work:
        note = checkpoints.latest(work)
    assert note is not None
    return note


def anchored(practice: Practice) -> list[tuple[str, int]]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        query = select(AuditAnchor.kind, AuditAnchor.size).order_by(AuditAnchor.at, AuditAnchor.size)
        return [tuple(row) for row in work.session.execute(query)]


def forget_all(practice: Practice, keep: int) -> None:
    """A practice put back to an older state, or somebody who throws the newer part away."""
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        late = select(AuditLeaf.row_id).where(AuditLeaf.leaf_index >= keep)
        run(work, delete(AuditRow).where(AuditRow.id.in_(late)))
        run(work, delete(AuditLeaf).where(AuditLeaf.leaf_index >= keep))
        run(work, delete(AuditCheckpoint).where(AuditCheckpoint.size > keep))
        run(work, delete(AuditAnchor).where(AuditAnchor.size > keep))


# A file


def test_a_file_keeps_every_note_it_was_given(practice: Practice, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.jsonl"
    setting(practice, anchor_file=str(place))
    assert anchors.anchor_now(practice) == []  # nothing is signed yet
    grow(practice, 3)
    anchors.anchor_due(practice)
    grow(practice, 3)
    anchors.anchor_due(practice)  # an hour has not gone by
    assert anchored(practice) == [("file", 3)]
    practice.clock.move(HOUR + MINUTE)  # type: ignore[attr-defined]
    anchors.anchor_due(practice)
    anchors.anchor_due(practice)  # nothing new
    assert anchored(practice) == [("file", 3), ("file", 6)]
    notes = [json.loads(line)["note"] for line in place.read_text(encoding="utf-8").splitlines() if line]
    assert notes[-1] == latest(practice)
    report = examined(practice)
    assert (report.is_whole, report.anchors) == (True, 2)


def test_a_clock_that_was_ahead_and_is_right_again_holds_no_anchor_up(practice: Practice, tmp_path: Path) -> None:
    setting(practice, anchor_file=str(tmp_path / "elsewhere.jsonl"))
    practice.clock.move(10 * HOUR)  # type: ignore[attr-defined]
    grow(practice, 1)
    anchors.anchor_due(practice)
    practice.clock.move(-10 * HOUR)  # type: ignore[attr-defined]
    grow(practice, 1)
    anchors.anchor_due(practice)
    assert sorted(size for _, size in anchored(practice)) == [1, 2]


def test_a_file_that_was_cut_short_or_is_gone_is_noticed(practice: Practice, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.jsonl"
    setting(practice, anchor_file=str(place))
    grow(practice, 3)
    anchors.anchor_now(practice)
    whole = place.read_text(encoding="utf-8")
    place.write_text(whole + '{"note": "torn', encoding="utf-8")
    grow(practice, 1)
    anchors.anchor_now(practice)
    assert examined(practice).is_whole  # a torn line does no harm, and the next begins a line of its own
    place.write_text(whole, encoding="utf-8")
    assert [one.kind for one in examined(practice).findings] == ["anchor"]
    place.unlink()
    assert [one.kind for one in examined(practice).findings] == ["anchor"]


@pytest.mark.parametrize("place", ["/dev/full", "/proc/none/anchors"])
def test_a_file_that_takes_nothing_anchors_nothing(practice: Practice, place: str) -> None:
    setting(practice, anchor_file=place)
    grow(practice, 1)
    with pytest.raises(AnchorFailed):
        anchors.anchor_due(practice)
    assert anchored(practice) == []


def test_rubbish_in_the_file_stops_no_examination(practice: Practice, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.jsonl"
    setting(practice, anchor_file=str(place))
    grow(practice, 3)
    anchors.anchor_now(practice)
    place.write_bytes(b"\xff\xfe\n" + place.read_bytes())
    report = examined(practice)
    assert (report.is_whole, report.anchors) == (True, 1)


# A time-stamp authority


@pytest.mark.parametrize("said", [b"rubbish\r\n\r\n", b"HTTP/1.1 500 x\r\nContent-Length: 99\r\n\r\nshort"])
def test_an_answer_that_is_no_http_is_a_failed_anchor_and_no_defect(practice: Practice, said: bytes) -> None:
    grow(practice, 1)
    with answering(said) as address:
        setting(practice, anchor_tsa=address, anchor_tsa_roots="none", anchor_file=str(practice.settings.data / "a"))
        with pytest.raises(AnchorFailed):
            anchors.anchor_now(practice)
    assert anchored(practice) == [("file", 1)]


@contextmanager
def answering(said: bytes) -> Iterator[str]:
    """A server that says this to whoever comes, whatever they ask."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            with door.accept()[0] as caller:
                caller.recv(65_536)
                caller.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/"
        thread.join()


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


@pytest.fixture(scope="module")
def other_tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("other-tsa")) as made:
        yield made


def test_time_stamps_hold_the_tree(practice: Practice, tsa: Authority, other_tsa: Authority) -> None:
    setting(practice, anchor_tsa=tsa.address, anchor_tsa_roots=str(tsa.roots))
    grow(practice, 3)
    assert anchors.anchor_now(practice) == ["timestamp"]
    report = examined(practice)
    assert (report.is_whole, report.anchors) == (True, 1)
    signer = checkpoints.signer_of(practice.vault, practice.settings)
    forged = checkpoints.signed(signer, 3, b"r" * 32, 1)
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        run(work, update(AuditCheckpoint).values(note=forged.note, root=forged.root))
    assert "anchor" in {one.kind for one in examined(practice).findings}
    setting(practice, anchor_tsa_roots=str(other_tsa.roots))
    assert "anchor" in {one.kind for one in examined(practice).findings}


def test_an_authority_that_is_not_ours_or_away_anchors_nothing(
    practice: Practice, tsa: Authority, other_tsa: Authority
) -> None:
    grow(practice, 1)
    for address in (other_tsa.address, "http://127.0.0.1:1/", "file:///etc/passwd"):
        setting(practice, anchor_tsa=address, anchor_tsa_roots=str(tsa.roots))
        with pytest.raises(AnchorFailed):
            anchors.anchor_now(practice)
    assert anchored(practice) == []
    setting(practice, anchor_file=str(practice.settings.data / "anchors.jsonl"))
    with pytest.raises(AnchorFailed):
        anchors.anchor_now(practice)
    assert anchored(practice) == [("file", 1)]  # one that fails does not stop the others


# Another Telepsych


@pytest.fixture
def witness(templates: Callable[..., Template], tmp_path: Path, practice: Practice) -> Iterator[Practice]:
    """Another practice, letting ours in, on a server of its own."""
    home = tmp_path / "witness"
    home.mkdir()
    template = templates(practice.records.dialect.name, False)
    other = build_practice(home, *template.copy_to(home), FrozenClock(TUESDAY_MORNING))
    ours = checkpoints.signer_of(practice.vault, practice.settings).key
    setting(other, witness_for=(str(ours),))
    with served(other) as address:
        key = checkpoints.cosigner_of(other.vault, other.settings).key
        setting(practice, anchor_witness=f"{address}/witness", anchor_witness_key=str(key))
        yield other
    other.records.dispose()


@contextmanager
def served(practice: Practice) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(practice=practice), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()


def seen_by(witness: Practice) -> list[int]:
    with witness.begin(command("test"), writes=False, public="test") as work:
        return list(work.session.scalars(select(AuditWitness.size).order_by(AuditWitness.size)))


def test_a_witness_cosigns_a_log_that_grows(practice: Practice, witness: Practice) -> None:
    for count in (3, 260, 5):
        grow(practice, count)
        assert anchors.anchor_now(practice) == ["witness"]
    assert seen_by(witness) == [3, 263, 268]
    report = examined(practice)
    assert (report.is_whole, report.anchors) == (True, 4)  # each signature, and what the witness holds now
    with witness.begin(command("test"), writes=False, public="test") as work:
        cosigned = select(func.count()).select_from(AuditRow).where(AuditRow.action == "witness.cosigned")
        assert work.session.scalar(cosigned) == 3


def test_a_witness_refuses_a_log_that_shrank_or_forked_and_lets_a_new_name_in(
    practice: Practice, witness: Practice
) -> None:
    grow(practice, 40)
    grow(practice, 10)
    anchors.anchor_now(practice)
    forget_all(practice, 40)
    grow(practice, 5)
    with pytest.raises(AnchorFailed, match="50 leaves, we have 45"):
        anchors.anchor_now(practice)
    grow(practice, 20)
    with pytest.raises(AnchorFailed, match="does not go on"):
        anchors.anchor_now(practice)
    assert seen_by(witness) == [50]

    setting(practice, audit_origin="willow-street.example/after-restore")
    grow(practice, 1)
    with pytest.raises(AnchorFailed, match="does not know our log's name"):
        anchors.anchor_now(practice)
    restored = checkpoints.signer_of(practice.vault, practice.settings).key
    setting(witness, witness_for=(*witness.settings.witness_for, str(restored)))
    assert anchors.anchor_now(practice) == ["witness"]
    assert seen_by(witness) == [50, 66]
    report = examined(practice)
    assert report.is_whole
    assert any("after-restore" in remark for remark in report.remarks)


def test_what_a_witness_holds_shows_a_log_that_forgot_its_anchors(practice: Practice, witness: Practice) -> None:
    grow(practice, 40)
    grow(practice, 10)
    anchors.anchor_now(practice)
    forget_all(practice, 40)
    report = examined(practice)
    assert [(one.kind, one.index) for one in report.findings] == [("truncated", 40)]
    assert "the witness anchor" in report.findings[0].sentence


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 403),
        ("old 0\n\nsomething else", 403),
        ("old 0\n\n{note}", 200),
        ("old 1\n\n{note}", 409),
        ("old 0\nAAAA\n\n{note}", 422),
        ("old -1\n\n{note}", 400),
        ("old 99\n\n{note}", 400),
        ("new 0\n\n{note}", 400),
        ("old 0\n!\n\n{note}", 400),
        ("old 0\n\n{unsigned}", 403),
        ("old 0\n\n{stranger}", 404),
    ],
)
def test_what_a_witness_answers(practice: Practice, witness: Practice, body: str, status: int) -> None:
    """As the witness protocol of the transparency logs asks."""
    grow(practice, 2)
    note = latest(practice)
    unsigned, stranger = note.replace("\n2\n", "\n3\n"), note.replace("telepsych/", "stranger/")
    sent = body.format(note=note, unsigned=unsigned, stranger=stranger)
    browser = create_app(practice=witness).test_client()
    answer = browser.post("/witness/add-checkpoint", data=sent.encode())
    assert answer.status_code == status
    if status == 409:
        assert (answer.content_type, answer.get_data(as_text=True)) == ("text/x.tlog.size", "0\n")
    held = browser.get("/witness/checkpoint", query_string={"origin": note.splitlines()[0]})
    assert held.status_code == (200 if status == 200 else 404)
