"""Data keys in the keystore: found, made, given a new generation, and destroyed.

A data key is committed before the first row that needs it; an orphan is harmless. Destroying is an intent row, the act
and an outcome row. Whatever makes known keys stale moves the epoch, by which processes know that they have to forget.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Engine, Select, delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from telepsych.core.clock import machine_time
from telepsych.core.ids import new_id
from telepsych.crypto import recovery_wraps
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, KeyEvent, KeyWrap, move_epoch, reading, wrap_context, writing
from telepsych.crypto.provider import KeyProvider
from telepsych.crypto.scopes import NOBODY, Scope

if TYPE_CHECKING:
    from telepsych.crypto.vault import Vault

ROOT = "root"
DERIVATION = Scope("derivation", NOBODY, "")
"""Holder of the derivation secret where the provider cannot keep one: wrapped and rotated like a data key."""
KINDS = ("patient", "person", "practice")
"""Holders whose data keys seal rows."""
INTENDED, DONE, FAILED = "intended", "done", "failed"
NEW_GENERATION = "rotate-data"
"""Done once everything that can be sealed anew lies under the new generation."""


def newest(keystore: Engine, scope: Scope) -> UUID | None:
    """The key under which a scope's rows are sealed now."""
    with reading(keystore) as session:
        return session.scalar(_kept_of(scope).order_by(DataKey.generation.desc()).limit(1))


def root_wraps(keystore: Engine, key_id: UUID) -> Sequence[KeyWrap]:
    """The wraps of a data key by root keys: one, or for a moment more."""
    with reading(keystore) as session:
        wraps = select(KeyWrap).where(KeyWrap.data_key_id == key_id, KeyWrap.recipient == ROOT)
        return session.scalars(wraps).all()


def unwrapped(keystore: Engine, provider: KeyProvider, key_id: UUID) -> bytes:
    """A data key itself. Raises `CannotOpen` when no root key opens it, `Unavailable`.

    A wrap may be replaced, and its root key retired, between look-up and unwrapping: then it is looked up again.
    """
    tried: set[bytes] = set()
    for _ in range(3):
        wraps = [wrap for wrap in root_wraps(keystore, key_id) if wrap.wrapped not in tried]
        for wrap in wraps:
            try:
                return provider.unwrap(wrap.recipient_id, wrap.wrapped, wrap_context(key_id))
            except CannotOpen:
                tried.add(wrap.wrapped)
        if not wraps:
            break
    raise CannotOpen


def make(keystore: Engine, provider: KeyProvider, scope: Scope) -> UUID:
    """The first data key of a scope. Of two makers the first wins. Raises `CannotOpen` when the scope was destroyed."""
    made = _wrapped_key(provider, scope, 1)
    try:
        with writing(keystore) as session:
            made.add_to(session)
    except IntegrityError:
        found = newest(keystore, scope)
        if found is None:
            raise CannotOpen from None
        return found
    return made.row.id


def add_generations(keystore: Engine, provider: KeyProvider, scopes: Iterable[Scope]) -> int:
    """A new key for each of these scopes, in one transaction; new rows are sealed with it. Returns how many were made.

    A scope whose newest key is still waiting for its rows, or that was destroyed, is left as it is.
    """
    with reading(keystore) as session:
        present = [(scope, _latest(session, scope)) for scope in scopes]
    made = [_wrapped_key(provider, scope, now.generation + 1) for scope, now in present if now is not None]
    try:
        with writing(keystore) as session:
            added = [one for one in made if _still_kept(session, one.scope, one.row.generation - 1)]
            for one in added:
                one.add_to(session)
                session.add(_event(NEW_GENERATION, INTENDED, one.row.id))
            move_epoch(session)
    except IntegrityError:
        return 0  # another rotator was faster: what it made is used
    return len(added)


def unfinished(keystore: Engine, act: str) -> list[UUID]:
    """Data keys for which an act was intended, without an outcome."""
    with reading(keystore) as session:
        return list(session.scalars(_intended(act)))


def finish(keystore: Engine, act: str, key_ids: Sequence[UUID], outcome: str = DONE) -> None:
    """Leave the outcome rows of an act."""
    with writing(keystore) as session:
        session.add_all([_event(act, outcome, key_id) for key_id in key_ids])


def note(keystore: Engine, act: str, outcome: str, root_id: str = "") -> None:
    """Leave an event about a root key, or about no key in particular."""
    with writing(keystore) as session:
        session.add(KeyEvent(id=new_id(), at=machine_time(), act=act, outcome=outcome, root_id=root_id or None))


def destroy(vault: "Vault", scope: Scope, act: str = "shred") -> tuple[UUID, ...]:
    """Destroy every key of a scope: what it sealed never opens again, here and in old copies of the records.

    May be repeated, and goes on where it was stopped. Other processes forget the keys within seconds. Copies of the
    keystore keep the wraps until they are thrown away. Returns the keys that are gone now.
    """
    keystore, gone = vault.keystore, list[UUID]()
    while kept := _kept_ids(keystore, scope):  # a new generation may come in while we work
        finish(keystore, act, kept, INTENDED)
        try:
            with writing(keystore) as session:
                _drop(session, kept)
        except BaseException:
            finish(keystore, act, kept, FAILED)
            raise
        finish(keystore, act, kept)
        gone += kept
    _settle(keystore, act, scope)
    vault.flush()
    _scrub(keystore)
    return tuple(gone)


@dataclass(frozen=True)
class _Made:
    scope: Scope
    row: DataKey
    wrap: KeyWrap
    data_key: bytes

    def add_to(self, session: Session) -> None:
        session.add(self.row)
        session.flush()
        session.add_all((self.wrap, *recovery_wraps.of_new_key(session, self.row.id, self.data_key, machine_time())))

    def __repr__(self) -> str:
        return f"<_Made {self.row.id}>"


def _wrapped_key(provider: KeyProvider, scope: Scope, generation: int) -> _Made:
    key_id, data_key, now = new_id(), secrets.token_bytes(32), machine_time()
    root_id, wrapped = provider.wrap(data_key, wrap_context(key_id))
    row = DataKey(
        id=key_id,
        kind=scope.kind,
        owner_id=scope.owner,
        compartment=scope.compartment,
        generation=generation,
        created_at=now,
    )
    wrap = KeyWrap(data_key_id=key_id, recipient=ROOT, recipient_id=root_id, wrapped=wrapped, created_at=now)
    return _Made(scope, row, wrap, data_key)


def _all_of(scope: Scope) -> Select[DataKey]:
    mine = select(DataKey).where(DataKey.owner_id == scope.owner, DataKey.kind == scope.kind)
    return mine.where(DataKey.compartment == scope.compartment)


def _kept_of(scope: Scope) -> Select[UUID]:
    return _all_of(scope).where(DataKey.destroyed_at.is_(None)).with_only_columns(DataKey.id)


def _kept_ids(keystore: Engine, scope: Scope) -> list[UUID]:
    with reading(keystore) as session:
        return list(session.scalars(_kept_of(scope)))


def _latest(session: Session, scope: Scope) -> DataKey | None:
    """The newest key of a scope, if it may be followed by another one."""
    found = session.scalar(_all_of(scope).order_by(DataKey.generation.desc()).limit(1))
    if found is None or found.destroyed_at is not None:
        return None
    waits = session.scalar(select(func.count()).select_from(_intended(NEW_GENERATION, found.id).subquery()))
    return None if waits else found


def _still_kept(session: Session, scope: Scope, generation: int) -> bool:
    """Whether the key to be followed is still kept; it is held, so that it cannot be destroyed in this moment."""
    before = _kept_of(scope).where(DataKey.generation == generation).with_for_update()
    return session.scalar(before) is not None


def _intended(act: str, key_id: UUID | None = None) -> Select[UUID]:
    outcome = aliased(KeyEvent)
    ended = exists().where(outcome.data_key_id == KeyEvent.data_key_id, outcome.act == act, outcome.outcome != INTENDED)
    open_ones = select(KeyEvent.data_key_id).where(KeyEvent.act == act, KeyEvent.outcome == INTENDED, ~ended).distinct()
    return open_ones if key_id is None else open_ones.where(KeyEvent.data_key_id == key_id)


def _drop(session: Session, key_ids: Sequence[UUID]) -> None:
    """The act itself: without its wraps a key is gone."""
    options = {"synchronize_session": False}
    session.execute(select(DataKey.id).where(DataKey.id.in_(key_ids)).with_for_update())
    session.execute(delete(KeyWrap).where(KeyWrap.data_key_id.in_(key_ids)), execution_options=options)
    gone = update(DataKey).where(DataKey.id.in_(key_ids)).values(destroyed_at=machine_time())
    session.execute(gone, execution_options=options)
    move_epoch(session)


def _settle(keystore: Engine, act: str, scope: Scope) -> None:
    """Outcome rows for what an earlier, stopped run has done."""
    with reading(keystore) as session:
        ours = _all_of(scope).where(DataKey.destroyed_at.is_not(None)).with_only_columns(DataKey.id)
        late = list(session.scalars(_intended(act).where(KeyEvent.data_key_id.in_(ours))))
    if late:
        finish(keystore, act, late)


def _scrub(keystore: Engine) -> None:
    """Take deleted wraps out of the database's files as well. SQLite overwrites them; its journal has to be emptied."""
    with keystore.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if keystore.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("VACUUM key_wrap")


def _event(act: str, outcome: str, key_id: UUID) -> KeyEvent:
    return KeyEvent(id=new_id(), at=machine_time(), data_key_id=key_id, act=act, outcome=outcome)
