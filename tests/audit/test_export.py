"""What leaves the database can be checked by anybody, with nothing of ours, also after keys are destroyed (L6)."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from support.cast import Cast
from support.trail import attacked, drop_guards, examined, note_down, row_at, run, sequence

from telepsych.audit import anchors, checkpoints
from telepsych.audit import service as audit
from telepsych.audit.entries import canonical
from telepsych.audit.models import AuditRow
from telepsych.audit.offline import AGREES, DIFFERS, UNREADABLE, main
from telepsych.cli import main as telepsych
from telepsych.core.actor import command
from telepsych.core.work import Practice
from telepsych.crypto.keystore import KeyWrap

ROOT = Path(__file__).parents[2]
ALONE = """
import sys
class Closed:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sqlalchemy", "flask", "pydantic", "rfc8785", "rfc3161_client", "click"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Closed())
from telepsych.audit.offline import main
code = main(sys.argv[1:])
loaded = {name for name in sys.modules if name.startswith("telepsych.")}
assert loaded == {"telepsych.audit", *(f"telepsych.audit.{part}" for part in
    ("entries", "examine", "notes", "offline", "tree"))}, loaded
sys.exit(code)
"""


@pytest.fixture
def typed(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Types a `telepsych audit` command at this practice."""
    settings = practice.settings
    monkeypatch.setenv("TELEPSYCH_DATA", str(settings.data))
    monkeypatch.setenv("TELEPSYCH_RECORDS_URL", settings.records)
    monkeypatch.setenv("TELEPSYCH_KEYSTORE_URL", settings.keystore)
    return lambda *words: CliRunner().invoke(telepsych, ["audit", *map(str, words)])


def published(practice: Practice) -> str:
    return str(checkpoints.signer_of(practice.vault, practice.settings).key)


def a_patient_entry(practice: Practice, cast: Cast) -> str:
    with practice.begin(command("test"), writes=False, public="test") as work:
        query = select(AuditRow.id).where(AuditRow.patient_id == cast.patient.record).order_by(AuditRow.at)
        return str(work.session.scalars(query).all()[0])


def shred(practice: Practice) -> None:
    """Every wrap of every data key is gone for good."""
    with practice.vault.keystore.execution_options(telepsych_writes=True).begin() as connection:
        connection.execute(delete(KeyWrap))
    practice.vault.flush()


def test_an_export_and_a_proof_stand_alone_also_after_shredding(
    practice: Practice, cast: Cast, typed: Callable[..., Any], tmp_path: Path
) -> None:
    note_down(practice, 300)
    sequence(practice)
    whole, proof, later = tmp_path / "whole.jsonl", tmp_path / "proof.json", tmp_path / "later.jsonl"
    entry = a_patient_entry(practice, cast)
    assert typed("export", whole).exit_code == 0
    assert whole.stat().st_mode & 0o777 == 0o600
    assert typed("prove", entry, "--out", proof).exit_code == 0
    for place in (whole, proof):
        alone = [sys.executable, "-c", ALONE, str(place), "--key", published(practice)]
        done = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == AGREES, done.stdout + done.stderr
    for text in (whole.read_text(encoding="utf-8"), proof.read_text(encoding="utf-8")):
        for member in cast.everybody():
            assert member.name not in text

    shred(practice)
    sequence(practice)
    assert examined(practice).is_whole
    assert typed("export", later).exit_code == 0
    assert [main([str(place)]) for place in (whole, proof, later)] == [AGREES] * 3


def test_every_altered_line_of_an_export_is_found(
    practice: Practice, typed: Callable[..., Any], tmp_path: Path
) -> None:
    note_down(practice, 30)
    sequence(practice, 10)
    whole = tmp_path / "whole.jsonl"
    typed("export", whole)
    assert typed("export", whole).exit_code == 1  # nothing is overwritten
    lines = whole.read_text(encoding="utf-8").splitlines()
    bent = tmp_path / "bent.jsonl"
    entries = [at for at, line in enumerate(lines) if '"entry"' in line]
    assert len(entries) == 30
    for at in entries:
        other = lines[at].replace("test.noted", "test.other")
        for changed in ([*lines[:at], other, *lines[at + 1 :]], [*lines[:at], *lines[at + 1 :]]):
            bent.write_text("\n".join(changed), encoding="utf-8")
            assert main([str(bent)]) == DIFFERS
    for start in (1, 2, 3):
        bent.write_text("\n".join([*lines[:start], lines[start].replace("\\n\\n", "0\\n\\n", 1), *lines[start + 1 :]]))
        assert main([str(bent)]) == DIFFERS
    bent.write_text("{}")
    assert (main([str(bent)]), main([str(tmp_path / "none")])) == (UNREADABLE, UNREADABLE)


def test_a_proof_of_something_else_does_not_pass(practice: Practice, typed: Callable[..., Any], tmp_path: Path) -> None:
    note_down(practice, 30)
    with practice.begin(command("test"), writes=False, public="test") as work:
        entry = str(work.session.scalars(select(AuditRow.id)).first())
    assert "no place in the tree yet" in typed("prove", entry).output
    sequence(practice, 10)
    proof = json.loads(typed("prove", entry).output)
    place = tmp_path / "proof.json"
    stranger = checkpoints.Signer.of("stranger", b"s" * 32).key
    changes = ({"index": 29}, {"entry": proof["entry"] | {"action": "x"}}, {"proof": proof["proof"][:-1]})
    for change in (*changes, {"checkpoint": proof["checkpoint"].replace("\n30\n", "\n31\n")}, {"key": str(stranger)}):
        place.write_text(json.dumps(proof | change), encoding="utf-8")
        assert main([str(place)]) == DIFFERS
    place.write_text(json.dumps(proof), encoding="utf-8")
    assert main([str(place), "--key", published(practice)]) == AGREES
    assert main([str(place), "--key", str(stranger)]) == DIFFERS


def test_verify_says_what_it_found(practice: Practice, typed: Callable[..., Any], tmp_path: Path) -> None:
    note_down(practice, 30)
    sequence(practice, 10)
    kept = tmp_path / "kept.txt"
    kept.write_text(typed("anchor").output, encoding="utf-8")
    said = typed("verify", "--against", kept)
    assert (said.exit_code, "30 entries agree" in said.output) == (0, True)
    assert published(practice) in typed("key").output
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        run(work, update(AuditRow).where(AuditRow.id == row_at(17)).values(action="x"))
    said = typed("verify", "--json")
    assert (said.exit_code, json.loads(said.output)["first_bad_index"]) == (4, 17)
    assert "17" in typed("verify").output


def test_entries_that_wait_too_long_are_said_to(practice: Practice, typed: Callable[..., Any]) -> None:
    note_down(practice, 3)  # by the standing clock of the tests, months before or after the machine's
    with practice.begin(command("test"), public="test") as work:
        work.now = 1
        audit.record(work, "test.noted", "thing:old")
    said = typed("verify", "--json")
    assert (said.exit_code, json.loads(said.output)["waiting"]) == (3, 4)


def test_entries_that_were_suppressed_show_against_the_second_stream(
    practice: Practice, typed: Callable[..., Any], tmp_path: Path
) -> None:
    place = tmp_path / "stream.log"
    practice.settings = practice.settings.model_copy(update={"audit_stream": str(place)})
    note_down(practice, 5)
    with attacked(practice) as work:  # rolled back
        audit.record(work, "test.noted", "thing:rolled-back")
    lines = place.read_text(encoding="utf-8").splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"audit", "at", "hash"}] * 5
    place.write_text("gunicorn: something else\nINFO " + "\n".join(lines), encoding="utf-8")
    assert typed("verify", "--stream", place).exit_code in (0, 3)
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        run(work, delete(AuditRow).where(AuditRow.about == "thing:3"))  # before it had a place
    said = typed("verify", "--stream", place, "--json")
    assert said.exit_code == 4
    gone = json.loads(said.output)["findings"]
    assert [(one["kind"], one["entry"]) for one in gone] == [("suppressed", json.loads(lines[3])["audit"])]


flat = st.dictionaries(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.none() | st.text() | st.integers(-(2**53) + 1, 2**53 - 1),
)


@given(flat)
def test_canonical_json_is_what_the_rfc_asks_for(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_anchoring_nothing_says_so(practice: Practice, typed: Callable[..., Any]) -> None:
    assert anchors.anchor_now(practice) == []
    assert "Nothing has been signed yet" in typed("anchor").output


def test_a_second_stream_that_takes_nothing_fails_nobody(practice: Practice, caplog: pytest.LogCaptureFixture) -> None:
    """The act is committed by then: an error would make somebody do it twice."""
    practice.settings = practice.settings.model_copy(update={"audit_stream": "/dev/full"})
    note_down(practice, 2)
    assert sequence(practice) == 2
    assert "second stream takes nothing (OSError)" in caplog.text
