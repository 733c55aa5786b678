"""The restore drill: the newest backup brought back where nobody looks, and proved to be worth something.

Proved is that every file opens with two shares, that the rows are as many as were signed for, that a sample of every
sealed table opens, and that the audit trail is whole. A drill that fails is noted as failed, whatever an earlier one
said.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, make_url, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from telepsych import migrations
from telepsych.audit import service as audit
from telepsych.audit import verify
from telepsych.audit.models import AuditRow
from telepsych.core.clock import Clock
from telepsych.core.database import WriteLock, open_engine
from telepsych.core.errors import Invalid, TelepsychError
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto.envelope import CannotOpen, key_id_of
from telepsych.crypto.keystore import DataKey
from telepsych.crypto.recovery import RecoveryKey
from telepsych.crypto.sealed import Sealed, registry
from telepsych.crypto.vault import Vault, open_vault
from telepsych.server.backups import dumps, manifest, places
from telepsych.server.backups.making import BY_COMMAND, may_back_up
from telepsych.server.backups.places import Drilled
from telepsych.server.backups.restoring import Found, restore
from telepsych.web.bus import bus_for

SAMPLE = 10
"""Rows from each end of a table."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What a drill showed."""

    backup: str
    rows: int
    opened: dict[str, int]
    """Sealed rows opened, by table."""
    shredded: int
    """Sampled rows whose key was destroyed: they must not open, and did not."""
    entries: int
    """Entries of the audit trail whose detail opened."""
    leaves: int
    """Size of the audit tree, examined as a whole against the backup's own checkpoint."""
    seconds: float


def drill(practice: Practice, found: Found, key: RecoveryKey) -> Proved:
    """Restore into a scratch place, prove it, and note the outcome, also a bad one, which is raised again."""
    began = time.monotonic()
    backup = found.records.stem
    try:
        with _scratch(practice.settings, found, key.signer) as scratch:
            restored = restore(scratch, found, key)
            proved = prove(scratch, found, key.signer, practice.clock)
    except Exception as problem:
        why = problem.sentence if isinstance(problem, TelepsychError) else type(problem).__name__
        _note(practice, Drilled(backup, practice.clock.now(), False, round(time.monotonic() - began, 1), why))
        raise
    took = round(time.monotonic() - began, 1)
    _note(practice, Drilled(backup, practice.clock.now(), True, took))
    return Proved(backup, sum(restored.rows.values()), *proved, took)


def prove(settings: Settings, found: Found, signer: bytes, clock: Clock) -> tuple[dict[str, int], int, int, int]:
    """Open a sample of everything sealed, and examine the whole audit trail against the checkpoint of the manifest.

    Raises `Invalid` naming what is not as it was written. Returns rows opened by table, shredded ones, entries sampled,
    and how many leaves the examined tree has.
    """
    vault = open_vault(settings)
    engine = open_engine(settings.records, pool=NullPool)
    try:
        with Session(engine, info={"vault": vault, "touched": []}) as session:
            opened, shredded = _open_samples(session, vault)
            entries = _sample(session, AuditRow)
            for entry in entries:
                _require_opening(vault, entry)
        note = manifest.read(manifest.beside(found.records), signer).checkpoint
        practice = Practice(settings, engine, vault, clock, bus_for(engine), WriteLock(engine))
        return opened, shredded, len(entries), _tree(practice, note)
    finally:
        engine.dispose()


def _open_samples(session: Session, vault: Vault) -> tuple[dict[str, int], int]:
    destroyed = _destroyed(vault)
    opened, shredded = {}, 0
    for model, fields in registry():
        rows = _sample(session, model)
        gone = sum(_is_gone(row, fields[0], destroyed) for row in rows)
        opened[str(model.__tablename__)] = len(rows) - gone  # type: ignore[attr-defined]
        shredded += gone
    return opened, shredded


def _tree(practice: Practice, note: str | None) -> int:
    """Examine every entry and leaf. Returns how many leaves there are."""
    with practice.begin(BY_COMMAND, writes=False) as work:
        report = verify.verify(work, against=[note] if note else [])
    if not report.is_whole:
        raise Invalid(f"The audit trail is not as it was written: {report.findings[0].sentence}")
    return report.size


def _sample(session: Session, model: Any) -> list[Any]:
    """The oldest and the newest rows of a table."""
    first = session.scalars(select(model).order_by(model.id).limit(SAMPLE)).all()
    last = session.scalars(select(model).order_by(model.id.desc()).limit(SAMPLE)).all()
    return list({row.id: row for row in (*first, *last)}.values())


def _is_gone(row: Sealed, field: str, destroyed: set[Any]) -> bool:
    """Whether the row's key was destroyed. Opens it otherwise, or raises `Invalid`."""
    if not row.sealed:
        return False
    try:
        is_gone = key_id_of(row.sealed) in destroyed
        getattr(row, field)
    except CannotOpen:
        if is_gone:
            return True
        raise Invalid(f"A row of the table {row.__tablename__} does not open.") from None  # type: ignore[attr-defined]
    if is_gone:
        raise Invalid("Something opened whose key was destroyed.")
    return False


def _destroyed(vault: Vault) -> set[Any]:
    with vault.keystore.connect() as connection:
        return set(connection.scalars(select(DataKey.id).where(DataKey.destroyed_at.is_not(None))))


def _require_opening(vault: Vault, entry: AuditRow) -> None:
    try:
        audit.detail_of(vault, entry)
    except CannotOpen:
        raise Invalid("The detail of an entry of the audit trail does not open.") from None


def _note(practice: Practice, drilled: Drilled) -> None:
    """Remember the outcome, and leave an entry in the practice's own audit trail."""
    places.note_drill(practice.settings, drilled)
    with practice.begin(BY_COMMAND) as work:
        work.require(may_back_up(work.actor))
        detail = {"passed": drilled.passed, "seconds": drilled.seconds, "why": drilled.why}
        audit.record(work, "backup.drilled", f"backup:{drilled.id}", purpose="operations", detail=detail)


@contextmanager
def _scratch(settings: Settings, found: Found, signer: bytes) -> Iterator[Settings]:
    """An empty place of the backup's own kind, which is taken away afterwards."""
    with places.drill_folder(settings.data / "run") as folder:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            kept = {"data": folder, "records_url": "", "keystore_url": "", "keyring": None}
            kept |= {"anchor_file": "", "anchor_tsa": "", "anchor_witness": "", "audit_stream": ""}  # they know more
            kinds = {part: _kind(file, part, signer) for part, file in found.given().items() if part != "keyring"}
            with _databases(settings, kinds, folder) as urls:
                yield settings.model_copy(update={**kept, **urls})
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _kind(file: Path, part: str, signer: bytes) -> str:
    found = manifest.read(manifest.beside(file), signer).parts.get(part)
    return found.kind if found else ""


@contextmanager
def _databases(settings: Settings, kinds: dict[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """Addresses of scratch databases: files in the folder, or databases made beside the practice's own."""
    urls, made = {}, []
    try:
        for chain in migrations.chains():
            if kinds.get(chain.name) != "postgresql":
                continue
            if dumps.is_sqlite(chain.url(settings)):
                raise Invalid("This backup is of PostgreSQL. Run the drill where records_url names such a server.")
            url = make_url(chain.url(settings))
            name = f"{url.database}_drill_{chain.name}"
            _administer(chain.url(settings), f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
            made.append((chain.url(settings), name))
            urls[f"{chain.name}_url"] = url.set(database=name).render_as_string(hide_password=False)
        yield urls
    finally:
        for address, name in made:
            _administer(address, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _administer(address: str, *statements: str) -> None:
    engine: Engine = open_engine(address, pool=NullPool)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()
