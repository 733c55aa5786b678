"""A lost practice comes back from three sealed files and two shares, and from nothing less."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from support.cast import Cast
from support.practice import TUESDAY_MORNING, build_practice, mark_head

from telepsych import migrations
from telepsych.accounts import service as accounts
from telepsych.audit import guards
from telepsych.audit.models import AuditRow
from telepsych.audit.sequencer import Sequencer
from telepsych.core.actor import command
from telepsych.core.clock import DAY, HOUR, FrozenClock
from telepsych.core.database import Base
from telepsych.core.errors import Conflict, Invalid, Misconfigured
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import data_keys, recovery, recovery_wraps
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, KeystoreBase
from telepsych.crypto.recovery import RecoveryKey
from telepsych.crypto.scopes import patient_scope
from telepsych.patients.models import Patient
from telepsych.server.backups import drill, making, manifest, places, restoring, sealed_file
from telepsych.server.backups.places import Places
from telepsych.server.backups.restoring import Found
from telepsych.web import sessions
from telepsych.web.models import SignInSession


@dataclass
class Backed:
    """A practice with a recovery key, and where its backups go."""

    practice: Practice
    shares: list[str]
    to: Places
    empty: Callable[[str], Settings]
    """Makes an empty place of the practice's own kind."""

    def make(self) -> Found:
        made = making.make(self.practice, self.to)
        return Found(*(self.to.of(part) / made.parts[part].file for part in manifest.PARTS))

    @property
    def key(self) -> RecoveryKey:
        return recovery.join(self.shares[1:])

    def rows(self) -> dict[str, int]:
        return rows_of(self.practice)


@pytest.fixture
def backed(practice: Practice, cast: Cast, tmp_path: Path, request: pytest.FixtureRequest) -> Backed:
    """At its newest revision, as a practice that serves is."""
    is_sqlite = practice.records.dialect.name == "sqlite"
    mark_head(practice)
    public, shares = recovery.new_recovery_key(manifest.signer_name(practice.vault))
    recovery_wraps.install(practice.vault, public)

    def empty(name: str) -> Settings:
        url = "" if is_sqlite else request.getfixturevalue("new_database")()
        return Settings(data=tmp_path / name, records_url=url, keystore_url=url)

    volumes = (tmp_path / "volumes" / part for part in ("a", "b", "c"))
    return Backed(practice, shares, Places(*volumes), empty)


def rows_of(practice: Practice) -> dict[str, int]:
    found = {}
    for engine, base in ((practice.records, Base), (practice.vault.keystore, KeystoreBase)):
        with Session(engine) as session:
            for table in base.metadata.sorted_tables:
                found[table.name] = session.scalar(select(func.count()).select_from(table)) or 0
    return found


@pytest.fixture
def opened() -> Iterator[Callable[[Settings], Practice]]:
    made: list[Practice] = []

    def open_one(settings: Settings) -> Practice:
        clock = FrozenClock(TUESDAY_MORNING + HOUR)
        made.append(build_practice(settings.data, settings.records, settings.keystore, clock))
        return made[-1]

    yield open_one
    for one in made:
        one.records.dispose()


def test_a_lost_practice_comes_back(backed: Backed, cast: Cast, opened: Callable[[Settings], Practice]) -> None:
    with backed.practice.begin(command("test"), public="test") as work:
        work.audited = True
        sessions.start(work, cast.staff.person_id, 1, workforce=True, device="a test")
    found, before = backed.make(), backed.rows()
    before.pop("audit_row")  # the backup itself left an entry afterwards
    there = backed.empty("new")
    restored = restoring.restore(there, found, backed.key)
    practice = opened(there)
    assert {name: restored.rows[name] for name in before} == before
    assert {name: count for name, count in rows_of(practice).items() if name != "audit_row"} == before
    with practice.begin(command("test"), writes=False, public="test") as work:
        name = accounts.names_of(work, [cast.patient.person_id])[cast.patient.person_id].name
    assert name == cast.patient.name
    assert there.keyring_file.stat().st_mode & 0o777 == 0o400
    assert there.keyring_file.read_bytes() == backed.practice.settings.keyring_file.read_bytes()
    restoring.note(practice, restored)
    with Session(practice.records) as session:
        assert session.scalar(select(func.count()).where(AuditRow.action == "backup.restored")) == 1
        ended = session.scalars(select(SignInSession.ended_at)).all()
        assert len(ended) == 1
        assert None not in ended, "a session came to life again"
    again = Backed(practice, backed.shares, backed.to, backed.empty)
    again.make()  # and goes on: it can be backed up and written to as before


def test_without_its_keyring_it_comes_back_as_well(
    backed: Backed, cast: Cast, opened: Callable[[Settings], Practice]
) -> None:
    found, there = replace(backed.make(), keyring=None), backed.empty("new")
    restored = restoring.restore(there, found, backed.key)
    assert (restored.keyring, restored.lost_keys) == ("none given", 0)
    practice = opened(there)
    assert practice.vault.derive("pepper") == backed.practice.vault.derive("pepper")
    with practice.begin(command("test"), writes=False, public="test") as work:
        assert accounts.names_of(work, [cast.patient.person_id])[cast.patient.person_id].name == cast.patient.name


def test_no_file_says_anything_by_itself(backed: Backed, cast: Cast) -> None:
    """Neither keys nor anything about people, nor even the clear columns, are in a file without two shares."""
    found = backed.make()
    ring = backed.practice.settings.keyring_file.read_bytes()
    secrets = [line.strip() for line in ring.split(b'"') if len(line) == 44]
    assert len(secrets) >= 2
    for file in found.given().values():
        held = file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
        assert not [secret for secret in (*secrets, cast.patient.record.bytes, b"SQLite format") if secret in held]
    stranger = recovery.join(recovery.new_recovery_key(backed.key.signer)[1][:2])
    with pytest.raises(Invalid):
        restoring.restore(backed.empty("stranger"), found, stranger)
    left = list((backed.practice.settings.data / "run").glob("backup-*"))
    assert not left, "a snapshot was left behind"


def test_three_parts_in_one_folder_are_refused_unless_told(backed: Backed, tmp_path: Path) -> None:
    one = tmp_path / "one"
    for to in (Places(one, one, one), Places(one, one / "inside", tmp_path / "two")):
        with pytest.raises(Misconfigured, match="one place"):
            making.make(backed.practice, to)
    making.make(backed.practice, Places(one, one, one), together=True)
    assert len(list(one.iterdir())) == 4


def test_without_a_recovery_key_there_is_no_backup(practice: Practice, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="keys recovery new"):
        making.make(practice, Places(tmp_path / "a", tmp_path / "b", tmp_path / "c"))


def test_what_was_altered_is_refused(backed: Backed) -> None:
    found = backed.make()
    for file in found.given().values():
        held = bytearray(file.read_bytes())
        held[len(held) // 2] ^= 1
        file.rename(file.with_suffix(".kept"))
        file.write_bytes(held)
        with pytest.raises(Invalid, match="not as it was written"):
            restoring.restore(backed.empty("new"), found, backed.key)
        file.with_suffix(".kept").rename(file)
    note = manifest.beside(found.records)
    note.write_text(note.read_text().replace('"size": ', '"size": 1'))
    with pytest.raises(Invalid, match="signature"):
        restoring.restore(backed.empty("new"), found, backed.key)


def test_a_backup_that_somebody_else_made_up_is_refused(backed: Backed, tmp_path: Path) -> None:
    """The public half is no secret: anybody can seal to it. Who signed stands on the shares."""
    stranger = Backed(backed.practice, backed.shares, backed.to, backed.empty)
    found = stranger.make()
    forged = manifest.Ed25519PrivateKey.generate()
    for file in found.given().values():
        one = manifest.read(manifest.beside(file), backed.key.signer)
        public = manifest.base64.b64encode(forged.public_key().public_bytes_raw()).decode()
        manifest.save(one.model_copy(update={"signer": public}), forged, file.parent)
    with pytest.raises(Invalid, match="not signed by this practice"):
        restoring.restore(backed.empty("new"), found, backed.key)


def test_nothing_is_written_over(backed: Backed) -> None:
    found = backed.make()
    with pytest.raises(Conflict, match="already"):
        restoring.restore(backed.practice.settings, found, backed.key)
    there = backed.empty("new")
    restoring.restore(there, found, backed.key)
    with pytest.raises(Conflict, match="already"):
        restoring.restore(there, found, backed.key)


def test_a_cut_file_leaves_nothing_that_would_start(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    found, there = backed.make(), backed.empty("new")
    monkeypatch.setattr(restoring, "check_file", lambda *_: None)
    whole = found.records.read_bytes()
    found.records.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Invalid, match="does not open"):
        restoring.restore(there, found, backed.key)
    assert not there.keyring_file.exists()
    assert not (there.data / "records" / "records.sqlite").exists()
    found.records.write_bytes(whole)
    if there.records_url:  # what was loaded by then is the keystore's, and in no one's way
        there = backed.empty("newer")
    else:
        shutil.rmtree(there.data)
    restoring.restore(there, found, backed.key)


def test_records_do_not_come_back_without_a_keystore_that_is_as_new(backed: Backed) -> None:
    older = backed.make()
    backed.practice.clock.move(DAY)  # type: ignore[attr-defined]
    newer = backed.make()
    with pytest.raises(Invalid, match="older than the records"):
        restoring.restore(backed.empty("new"), replace(newer, keystore=older.keystore), backed.key)
    restoring.restore(backed.empty("other"), replace(older, keystore=newer.keystore), backed.key)
    mixed = replace(newer, keystore=older.keystore)
    restoring.restore(backed.empty("third"), mixed, backed.key, older_keystore=True)


def test_an_older_keystore_does_not_bring_a_destroyed_key_back(
    backed: Backed, cast: Cast, opened: Callable[[Settings], Practice]
) -> None:
    old = backed.make()
    backed.practice.clock.move(HOUR)  # type: ignore[attr-defined]
    data_keys.destroy(backed.practice.vault, patient_scope(cast.patient.record))
    backed.make()  # the newer backup knows
    there = backed.empty("new")
    restored = restoring.restore(there, old, backed.key)
    assert restored.destroyed_again == 1
    practice = opened(there)
    with Session(practice.records, info={"vault": practice.vault, "touched": []}) as session:
        patient = session.get_one(Patient, cast.patient.record)
        with pytest.raises(CannotOpen):
            _ = patient.name


def test_only_one_backup_runs_and_a_dead_one_is_swept_up(backed: Backed, tmp_path: Path) -> None:
    run = backed.practice.settings.data / "run"
    left = run / "backup-dead"
    left.mkdir(parents=True)
    (left / "records.sqlite").write_bytes(b"half a snapshot")
    backed.to.records.mkdir(parents=True)
    partial = backed.to.records / f"x.records{sealed_file.PARTIAL}"
    partial.write_bytes(b"half")
    with making._alone(backed.practice.settings, backed.to), pytest.raises(Conflict, match="Another backup"):
        backed.make()
    assert not left.exists()
    assert not partial.exists()


def test_old_keystores_are_forgotten_but_never_the_newest(backed: Backed) -> None:
    old = backed.make()
    backed.practice.clock.move(15 * DAY)  # type: ignore[attr-defined]
    assert old.keystore.exists()
    new = backed.make()
    assert (old.keystore.exists(), new.keystore.exists(), old.records.exists()) == (False, True, True)


def test_in_one_folder_old_records_keep_their_manifest(backed: Backed, tmp_path: Path) -> None:
    """Only the keystore is forgotten after a while; old records with a newer keystore can still be restored."""
    one = Places(tmp_path / "one", tmp_path / "one", tmp_path / "one")
    old = making.make(backed.practice, one, together=True)
    backed.practice.clock.move(15 * DAY)  # type: ignore[attr-defined]
    new = making.make(backed.practice, one, together=True)
    records, keystore = (one.records / made.parts[part].file for made, part in ((old, "records"), (new, "keystore")))
    assert not (one.keystore / old.parts["keystore"].file).exists()
    restored = restoring.restore(backed.empty("new"), restoring.Found(records, keystore), backed.key)
    assert restored.backup == old.id


def test_a_disk_that_fills_up_midway_leaves_no_part_behind(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a nightly backup that fails at its second file would fill the first one's disk too."""
    seal = sealed_file.seal_stream

    def full(key: bytes, source: Any, target: Any, context: bytes) -> None:
        if context.endswith(b"keyring"):
            raise OSError(28, "No space left on device")
        seal(key, source, target, context)

    monkeypatch.setattr(sealed_file, "seal_stream", full)
    with pytest.raises(Exception, match="No space left"):
        backed.make()
    assert not [file for part in manifest.PARTS for file in backed.to.of(part).iterdir()]


def test_what_a_killed_drill_left_is_swept_up_by_the_next_backup(backed: Backed) -> None:
    run = backed.practice.settings.data / "run"
    with places.drill_folder(run) as left:
        (left / "keys").mkdir(parents=True)
        (left / "keys" / "keyring.json").write_text("an opened keyring")
        backed.make()
        assert left.exists(), "the drill still runs"
    backed.make()
    assert not left.exists()


def test_a_full_disk_never_looks_like_a_backup(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sealed_file, "seal_stream", full)
    with pytest.raises(Exception, match="No space left"):
        backed.make()
    assert not [file for part in manifest.PARTS for file in backed.to.of(part).iterdir()]
    assert places.last(backed.practice.settings) is None


def test_the_drill_proves_every_sealed_table(backed: Backed) -> None:
    Sequencer().run(backed.practice)
    proved = drill.drill(backed.practice, backed.make(), backed.key)
    assert proved.opened["person"] > 3
    assert proved.opened["patient"] > 1
    assert proved.entries > 3
    assert proved.leaves > 3
    drilled = places.last_drill(backed.practice.settings)
    assert drilled is not None
    assert drilled.passed
    assert not (backed.practice.settings.data / "run" / "drill").exists()


def test_a_drill_that_finds_something_wrong_has_failed(backed: Backed) -> None:
    """Two rows change places: the files are whole and signed, but what they hold does not open."""
    engine = backed.practice.records.execution_options(telepsych_writes=True)
    with Session(engine) as session:
        one, other = session.execute(select(Patient.id, Patient.sealed).limit(2)).all()
        for id_, sealed in ((one.id, other.sealed), (other.id, one.sealed)):
            session.execute(update(Patient).where(Patient.id == id_).values(sealed=sealed))
        session.commit()
    found = backed.make()
    with pytest.raises(Invalid, match="patient"):
        drill.drill(backed.practice, found, backed.key)
    drilled = places.last_drill(backed.practice.settings)
    assert drilled is not None
    assert (drilled.passed, "patient" in drilled.why) == (False, True)
    with Session(backed.practice.records) as session:
        assert session.scalar(select(func.count()).where(AuditRow.action == "backup.drilled")) == 1


def test_a_drill_finds_an_audit_trail_that_was_changed(backed: Backed) -> None:
    Sequencer().run(backed.practice)
    engine = backed.practice.records.execution_options(telepsych_writes=True)
    with engine.begin() as connection:
        for statement in guards.removals(engine.dialect.name, "audit_row"):
            connection.exec_driver_sql(statement)
        first = select(AuditRow.id).order_by(AuditRow.id).limit(1).scalar_subquery()
        connection.execute(update(AuditRow).where(AuditRow.id == first).values(action="nothing.happened"))
    with pytest.raises(Invalid, match="audit trail is not as it was written"):
        drill.drill(backed.practice, backed.make(), backed.key)


def test_records_that_were_shredded_stay_so(backed: Backed, cast: Cast) -> None:
    """The records know of a shredding that no manifest speaks of."""
    older = backed.make()
    data_keys.destroy(backed.practice.vault, patient_scope(cast.patient.record))
    engine = backed.practice.records.execution_options(telepsych_writes=True)
    with engine.begin() as connection:
        connection.execute(update(Patient).where(Patient.id == cast.patient.record).values(destroyed_at=1))
    backed.practice.clock.move(HOUR)  # type: ignore[attr-defined]
    mixed = replace(backed.make(), keystore=older.keystore)
    silent = manifest.read(manifest.beside(mixed.records), backed.key.signer).model_copy(update={"destroyed": ()})
    for part in manifest.PARTS:
        manifest.save(silent, manifest.signer_of(backed.practice.vault), backed.to.of(part))
    restored = restoring.restore(backed.empty("new"), mixed, backed.key, older_keystore=True)
    assert restored.destroyed_again == 1


def test_a_row_lost_on_the_way_is_noticed(backed: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    found = backed.make()
    load = restoring._load

    def lossy(chain: migrations.Chain, url: str, *rest: object) -> None:
        load(chain, url, *rest)  # type: ignore[arg-type]
        if chain.name == "keystore":
            engine = migrations.open_engine(url).execution_options(telepsych_writes=True)
            with engine.begin() as connection:
                connection.execute(delete(DataKey).where(DataKey.id.not_in(select(restoring.KeyWrap.data_key_id))))
                connection.execute(update(DataKey).values(generation=DataKey.generation))
                connection.execute(delete(KeystoreBase.metadata.tables["recovery_key"]))
            engine.dispose()

    monkeypatch.setattr(restoring, "_load", lossy)
    with pytest.raises(Invalid, match="recovery_key has 0 rows instead of 1"):
        restoring.restore(backed.empty("new"), found, backed.key)
