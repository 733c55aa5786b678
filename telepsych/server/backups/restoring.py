"""Bringing a practice back out of sealed files and two shares, into an empty place and nowhere else.

First everything is checked (signature, who signed, hashes, revisions, order in time), then the keystore is loaded, then
the records, and the keyring last: a restore that stops half-way leaves nothing that would start. Without a keyring file
a new keyring is made from the recovery copies of the data keys.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, select, update

from telepsych import migrations
from telepsych.accounts.models import Invitation, Person
from telepsych.audit import service as audit
from telepsych.core.clock import from_micros, machine_time
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery_wraps
from telepsych.crypto.keystore import DataKey, KeyEvent, KeyWrap, writing
from telepsych.crypto.recovery import RecoveryKey
from telepsych.migrations import Chain
from telepsych.patients.models import Patient
from telepsych.server.backups import dumps, manifest, sealed_file
from telepsych.server.backups.making import BY_COMMAND, may_back_up
from telepsych.server.backups.manifest import Manifest, Part
from telepsych.web.models import SignInSession


@dataclass(frozen=True, slots=True)
class Found:
    """The files to restore from. They may be of different backups of one practice: the keystore may be newer."""

    records: Path
    keystore: Path
    keyring: Path | None = None

    def given(self) -> dict[str, Path]:
        files = {"records": self.records, "keystore": self.keystore, "keyring": self.keyring}
        return {part: file for part, file in files.items() if file is not None}


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back."""

    backup: str
    at: int
    """The practice is as it was then; what came later is lost."""
    rows: dict[str, int]
    destroyed_again: int
    """Data keys that an older keystore would have brought back."""
    keyring: str
    """`restored`; `none given` when it was made anew from the recovery copies, or is kept by another provider."""
    lost_keys: int
    seconds: float


def check(found: Found, signer: bytes, *, older_keystore: bool = False) -> dict[str, Manifest]:
    """The manifest of each file, when everything is as it was signed. `signer` empty: whoever signed, but the same.

    Raises `Invalid` with what is wrong. `older_keystore` puts up with a keystore from before the records.
    """
    manifests = {part: manifest.read(manifest.beside(file), signer) for part, file in found.given().items()}
    if len({one.fingerprint for one in manifests.values()}) > 1:
        raise Invalid("These files are of different practices.")
    for part, file in found.given().items():
        check_file(file, manifests[part].parts.get(part))
    if manifests["keystore"].at < manifests["records"].at and not older_keystore:
        older, newer = (f"{from_micros(manifests[part].at):%Y-%m-%d %H:%M} UTC" for part in ("keystore", "records"))
        raise Invalid(f"The keystore ({older}) is older than the records ({newer}): newer keys would be missing.")
    return manifests


def restore(settings: Settings, found: Found, key: RecoveryKey, *, older_keystore: bool = False) -> Restored:
    """Bring a practice back to where the settings say. With `older_keystore`, what was sealed with newer keys is lost.

    Raises `Conflict` when something is there already, `Invalid` when a file is not what was signed.
    """
    began = time.monotonic()
    _require_empty(settings)
    manifests = check(found, key.signer, older_keystore=older_keystore)
    records = manifests["records"]
    for part, one in manifests.items():
        if one.recovery_key != key.id:
            raise Invalid(f"The {part} file was sealed to another recovery key than that of these shares.")
    for chain in migrations.chains():
        file = found.given()[chain.name]
        _load(chain, chain.url(settings), manifests[chain.name], file, key)
    migrations.upgrade(settings)
    again = _destroy_again(settings, _known_destroyed(found, manifests, key.signer))
    _close_doors(settings)
    lost = _bring_keyring(settings, found, manifests, key)
    rows = {name: count for chain in migrations.chains() for name, count in _counted(chain, settings, manifests)}
    took = time.monotonic() - began
    return Restored(
        records.id, records.at, rows, again, "restored" if found.keyring else "none given", lost, round(took, 1)
    )


def note(practice: Practice, restored: Restored) -> None:
    """Leave an entry in the restored practice's own audit trail."""
    with practice.begin(BY_COMMAND) as work:
        work.require(may_back_up(work.actor))
        detail = {"backup_at": restored.at, "keyring": restored.keyring, "destroyed_again": restored.destroyed_again}
        audit.record(work, "backup.restored", f"backup:{restored.backup}", purpose="operations", detail=detail)


def check_file(file: Path, part: Part | None) -> None:
    """Raises `Invalid` unless a file is as its manifest says."""
    if part is None or part.file != file.name:
        raise Invalid(f"{file.name} is not the file its manifest speaks of.")
    measured = sealed_file.measure(file)
    if (measured.size, measured.sha256) != (part.size, part.sha256):
        raise Invalid(f"{file.name} is not as it was written: its size or hash differs from the manifest.")


def _require_empty(settings: Settings) -> None:
    there = [chain.name for chain in migrations.chains() if not dumps.is_empty(chain, chain.url(settings))]
    if there:
        raise Conflict(f"There is a {there[0]} database already. A restore goes into an empty place only.")
    if settings.keyring_file.exists():
        raise Conflict(f"{settings.keyring_file} is there already. A restore goes into an empty place only.")


def _load(chain: Chain, url: str, one: Manifest, file: Path, key: RecoveryKey) -> None:
    part = one.parts[chain.name]
    if part.kind != ("sqlite" if dumps.is_sqlite(url) else "postgresql"):
        raise Invalid(f"The {chain.name} were kept in {part.kind}. Set {chain.name}_url to such a database.")
    if not migrations.knows(chain, part.revision):
        raise Invalid(f"The {chain.name} file is of a newer version ({part.revision}). Install that version first.")
    with dumps.loading(chain, url, part.revision) as target:
        sealed_file.read(file, key, one.context(chain.name), target)


def _known_destroyed(found: Found, manifests: dict[str, Manifest], signer: bytes) -> set[UUID]:
    """Destroyed data keys that any of the practice's manifests beside the files know of."""
    folders = {file.parent for file in found.given().values()}
    around = [one for folder in folders for one in manifest.all_in(folder, signer or manifests["records"].fingerprint)]
    return {key_id for one in (*manifests.values(), *around) for key_id in one.destroyed}


def _destroy_again(settings: Settings, gone: set[UUID]) -> int:
    """Destroy once more what an older keystore brought back. Returns how many keys that were.

    Known are the keys that the manifests name, and every key of a record that the records themselves call destroyed.
    """
    holders = _shredded(settings)
    now, again = machine_time(), 0
    with dumps.opened(settings.keystore) as engine, writing(engine) as session:
        kept = select(DataKey.id, DataKey.kind, DataKey.owner_id).where(DataKey.destroyed_at.is_(None))
        for row in session.execute(kept).all():
            if row.id in gone or (row.kind, row.owner_id) in holders:
                session.execute(delete(KeyWrap).where(KeyWrap.data_key_id == row.id))
                session.execute(update(DataKey).where(DataKey.id == row.id).values(destroyed_at=now))
                session.add(KeyEvent(id=new_id(), at=now, data_key_id=row.id, act="destroy-again", outcome="done"))
                again += 1
    return again


def _shredded(settings: Settings) -> set[tuple[str, UUID]]:
    """Holders of keys whose record is destroyed: patients, and people whose sign-in went with it."""
    with dumps.opened(settings.records) as engine, engine.connect() as connection:
        gone = connection.execute(select(Patient.id, Patient.person_id).where(Patient.destroyed_at.is_not(None))).all()
        forgotten = select(Person.id).where(Person.email_index.is_(None), Person.left_at.is_not(None))
        people = set(connection.scalars(forgotten.where(Person.id.in_([row.person_id for row in gone]))))
    return {("patient", row.id) for row in gone} | {("person", person) for person in people}


def _close_doors(settings: Settings) -> None:
    """End every session and invitation: some were ended or used since, and must not come to life again."""
    now = machine_time()
    sessions = update(SignInSession).where(SignInSession.ended_at.is_(None)).values(ended_at=now)
    unused = update(Invitation).where(Invitation.used_at.is_(None), Invitation.ended_at.is_(None))
    with (
        dumps.opened(settings.records) as engine,
        engine.execution_options(telepsych_writes=True).begin() as connection,
    ):
        connection.execute(sessions)
        connection.execute(unused.values(ended_at=now))


def _bring_keyring(settings: Settings, found: Found, manifests: dict[str, Manifest], key: RecoveryKey) -> int:
    """The keyring of the backup, or a new one. Returns how many data keys are lost."""
    if found.keyring is None:
        if settings.key_provider != "keyring":
            return 0  # its root keys are where they always were
        with dumps.opened(settings.keystore) as engine:
            return recovery_wraps.recover(engine, settings.keyring_file, key).lost
    held = bytearray()
    sealed_file.read(found.keyring, key, manifests["keyring"].context("keyring"), _Memory(held))
    settings.keyring_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(settings.keyring_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "wb") as file:
        file.write(held)
        file.flush()
        os.fsync(file.fileno())
    sealed_file.settle(settings.keyring_file.parent)
    return 0


def _counted(chain: Chain, settings: Settings, manifests: dict[str, Manifest]) -> Sequence[tuple[str, int]]:
    """Rows of each table, as loaded and as signed for. Raises `Invalid` when they differ."""
    signed = manifests[chain.name].parts[chain.name].tables
    counted = dumps.counts(chain, chain.url(settings), signed)
    wrong = [name for name, count in counted.items() if count != signed[name] and name not in CHANGED_SINCE]
    if wrong:
        raise Invalid(f"The table {wrong[0]} has {counted[wrong[0]]} rows instead of {signed[wrong[0]]}.")
    return list(counted.items())


CHANGED_SINCE = frozenset({"key_wrap", "key_event", "key_epoch"})
"""What destroying again and a new keyring change."""


class _Memory:
    """A keyring is opened in memory: no file holds it but the one it is for."""

    def __init__(self, held: bytearray) -> None:
        self._held = held

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)
