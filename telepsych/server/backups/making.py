"""Making a backup while the practice runs: records, then keystore, then keyring, each into a sealed file of its own.

The keystore comes after the records, so every key that a record needs is in it. Snapshots of a SQLite database lie in
the data folder's `run/` for as long as they are read; what a crash leaves there is swept up by the next backup.
"""

import base64
import fcntl
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from telepsych import migrations
from telepsych.audit import checkpoints
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Decision, command
from telepsych.core.clock import DAY, from_micros
from telepsych.core.errors import Conflict, Misconfigured
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery_wraps
from telepsych.crypto.keystore import DataKey
from telepsych.crypto.recovery import recovery_id
from telepsych.patients.retention import retention
from telepsych.server.backups import dumps, manifest, places, sealed_file
from telepsych.server.backups.manifest import Manifest, Part
from telepsych.server.backups.places import Places

SNAPSHOTS = "backup-"
BY_COMMAND = command("backup")


def may_back_up(actor: Actor) -> Decision:
    """Whoever works at the command line of the host, and the practice's own clockwork."""
    return Decision(actor.is_system, "Backups are an operator's work.")


def make(practice: Practice, to: Places, *, together: bool = False, actor: Actor = BY_COMMAND) -> Manifest:
    """Make a backup and sign for it. Raises `Misconfigured` without a recovery key, or when two parts would lie in one
    folder and `together` does not allow it; `Conflict` while another backup runs."""
    faults = list(to.faults())
    if faults and not together:
        raise Misconfigured(" ".join(faults))
    settings, keystore = practice.settings, practice.vault.keystore
    public = recovery_wraps.public_half(keystore)
    for part in manifest.PARTS:
        places.usable(to.of(part))
    with _alone(settings, to) as scratch, ExitStack() as undo:
        recovery_wraps.back_fill(practice.vault)
        made = _write(practice, to, public, scratch, undo)
        key = manifest.signer_of(practice.vault)
        for folder in {to.of(part).resolve() for part in made.parts}:
            manifest.save(made, key, folder)
        undo.pop_all()
        places.note_last(settings, made, to)
        signed = list(manifest.all_in(to.keystore, made.fingerprint))
        old = places.forget_old(to.keystore, "keystore", made.at - retention().keystore_backup_days * DAY, signed)
    with practice.begin(actor) as work:
        work.require(may_back_up(actor))
        rows = {part: sum(found.tables.values()) for part, found in made.parts.items()}
        audit.record(
            work, "backup.made", f"backup:{made.id}", purpose="operations", detail={"rows": rows, "forgotten": len(old)}
        )
    return made


def _write(practice: Practice, to: Places, public: bytes, scratch: Path, undo: ExitStack) -> Manifest:
    """The three files, and what the manifest will say of them. `undo` takes them away: without it they are nothing."""
    at = practice.clock.now()
    name = f"{from_micros(at):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    checkpoint = _checkpoint(practice)
    draft = Manifest(
        form=1,
        id=name,
        at=at,
        recovery_key=recovery_id(public),
        parts={},
        checkpoint=checkpoint,
        signer=_signer(practice),
    )
    parts: dict[str, Part] = {}
    for chain in reversed(migrations.chains()):
        with dumps.dump(chain, chain.url(practice.settings), scratch) as found:
            place = to.of(chain.name) / f"{name}.{chain.name}"
            undo.callback(place.unlink, missing_ok=True)
            written = sealed_file.write(place, public, draft.context(chain.name), found.source)
        parts[chain.name] = Part(
            file=place.name,
            size=written.size,
            sha256=written.sha256,
            kind=found.kind,
            revision=found.revision,
            tables=found.tables,
        )
    if practice.settings.keyring_file.exists():
        place = to.keyring / f"{name}.keyring"
        undo.callback(place.unlink, missing_ok=True)
        ring = io.BytesIO(practice.settings.keyring_file.read_bytes())
        written = sealed_file.write(place, public, draft.context("keyring"), ring)
        parts["keyring"] = Part(file=place.name, size=written.size, sha256=written.sha256)
    return draft.model_copy(update={"parts": parts, "destroyed": _destroyed(practice)})


def _signer(practice: Practice) -> str:
    return base64.b64encode(manifest.signer_of(practice.vault).public_key().public_bytes_raw()).decode()


def _destroyed(practice: Practice) -> tuple[UUID, ...]:
    """Data keys that are destroyed, so that an older keystore cannot bring them back."""
    gone = select(DataKey.id).where(DataKey.destroyed_at.is_not(None)).order_by(DataKey.id)
    with practice.vault.keystore.connect() as connection:
        return tuple(connection.scalars(gone))


def _checkpoint(practice: Practice) -> str | None:
    """The audit trail's newest signed checkpoint, where there is one."""
    with practice.begin(BY_COMMAND, writes=False, public="backup") as work:
        return checkpoints.latest(work)


@contextmanager
def _alone(settings: Settings, to: Places) -> Iterator[Path]:
    """One backup at a time, and a folder for snapshots. What an earlier one left behind is removed first."""
    run = settings.data / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(run / "backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another backup is being made. Wait for it to end.") from None
        _sweep(run, to)
        scratch = run / f"{SNAPSHOTS}{secrets.token_hex(4)}"
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(handle)


def _sweep(run: Path, to: Places) -> None:
    for left in run.glob(f"{SNAPSHOTS}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    _sweep_drill(run)
    for part in manifest.PARTS:
        for partial in to.of(part).glob(f"*.{part}{sealed_file.PARTIAL}"):
            partial.unlink(missing_ok=True)


def _sweep_drill(run: Path) -> None:
    """A drill that was killed leaves a practice that opens, keyring and all. One that still runs is left alone."""
    with suppress(Conflict), places.drill_folder(run) as left:
        shutil.rmtree(left, ignore_errors=True)
