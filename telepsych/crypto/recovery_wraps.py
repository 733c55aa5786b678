"""What recovery needs in the keystore: the public half, a copy of every data key, and one of the derivation secret.

A data key's copy is made in the transaction that makes the key; keys older than the recovery key are back-filled. With
two shares, `recover` makes a new keyring out of these copies: the day the keyring is lost.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Engine, Exists, Select, delete, exists, func, select
from sqlalchemy.orm import Session, aliased

from telepsych.core.clock import machine_time
from telepsych.core.errors import Invalid, Misconfigured
from telepsych.core.ids import new_id
from telepsych.crypto import keyring
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, KeyEvent, KeyWrap, RecoveryPublic, reading, wrap_context, writing
from telepsych.crypto.recovery import RecoveryKey, recovery_id, seal_to

if TYPE_CHECKING:
    from telepsych.crypto.vault import Vault

RECIPIENT = "recovery"
BATCH = 500
DERIVATION = b"telepsych/recovery/derivation"


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """Whether the practice could be brought back without its keyring."""

    name: str
    """The recovery key in force; empty when there is none."""
    created_at: int
    kept: int
    """Data keys that are not destroyed."""
    missing: int
    """Those of them without a copy for the recovery key in force."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back with two shares, and what did not."""

    rewrapped: int
    lost: int
    """Data keys without a copy: what they seal opens only if the old keyring is found."""


def of_new_key(session: Session, key_id: UUID, data_key: bytes, now: int) -> list[KeyWrap]:
    """The copies to add beside a new data key, in the same transaction; none before there is a recovery key."""
    public = _in_force(session)
    return [_copy(public, key_id, data_key, now)] if public else []


def install(vault: "Vault", public: bytes) -> None:
    """Put a recovery key in force: keep its public half with a sealed copy of the derivation secret, then back-fill.

    Copies for an earlier recovery key are removed at the end, but for those of data keys that got no new one: nothing
    else may open these any more. The earlier shares open nothing made from then on.
    """
    now = machine_time()
    derivation = seal_to(public, vault.provider.derivation, DERIVATION)
    name = recovery_id(public)
    with writing(vault.keystore) as session:
        session.add(RecoveryPublic(id=new_id(), name=name, public=public, derivation=derivation, created_at=now))
        session.add(KeyEvent(id=new_id(), at=now, act="recovery-key", outcome="done"))
    back_fill(vault)
    with writing(vault.keystore) as session:
        new = aliased(KeyWrap)
        copied = select(new.data_key_id).where(new.recipient == RECIPIENT, new.recipient_id == name)
        old = delete(KeyWrap).where(KeyWrap.recipient == RECIPIENT, KeyWrap.recipient_id != name)
        session.execute(old.where(KeyWrap.data_key_id.in_(copied)), execution_options={"synchronize_session": False})
        session.execute(delete(RecoveryPublic).where(RecoveryPublic.name != name))


def state(keystore: Engine) -> RecoveryState:
    """Whether there is a recovery key, and how many data keys have no copy for it yet."""
    with reading(keystore) as session:
        public = _in_force(session)
        kept = session.scalar(select(func.count()).select_from(DataKey).where(DataKey.destroyed_at.is_(None))) or 0
        if public is None:
            return RecoveryState("", 0, kept, kept)
        missing = session.scalar(select(func.count()).select_from(_without_copy(public.name).subquery())) or 0
        return RecoveryState(public.name, public.created_at, kept, missing)


def public_half(keystore: Engine) -> bytes:
    """The public half in force. Raises `Misconfigured` when there is no recovery key."""
    with reading(keystore) as session:
        public = _in_force(session)
    if public is None:
        raise Misconfigured("There is no recovery key. Run `telepsych keys recovery new` and hand out its shares.")
    return public.public


def back_fill(vault: "Vault") -> int:
    """Copy every data key that has no copy for the recovery key in force. May be stopped and run again."""
    made = 0
    with reading(vault.keystore) as session:
        public = _in_force(session)
    if public is None:
        return 0
    for batch in _batches(vault.keystore, _without_copy(public.name)):
        made += _fill(vault, public, batch)
    return made


def recover(keystore: Engine, ring: Path, key: RecoveryKey) -> Recovered:
    """Make a new keyring and wrap every data key with it, out of the copies. May be stopped and run again.

    The keyring takes its place only when every copy has been wrapped. Raises `Misconfigured` when one is there already,
    `Invalid` when the shares are of another recovery key than the keystore's.
    """
    if ring.exists():
        raise Misconfigured(f"{ring} is there already. Only a lost keyring is replaced: move this one away first.")
    half_made = ring.with_name(f"{ring.name}.recovering")
    if not half_made.exists():
        keyring.create(half_made, _derivation(keystore, key))
    fresh = keyring.load(half_made)
    _note(keystore, "recover", "intended")
    rewrapped = sum(_rewrap(keystore, key, fresh, batch) for batch in _batches(keystore, _not_wrapped_by(fresh)))
    _put_in_place(half_made, ring)
    with writing(keystore) as session:
        again = aliased(KeyWrap)
        opened = select(again.data_key_id).where(again.recipient == "root", again.recipient_id == fresh.status()[0].id)
        gone = delete(KeyWrap).where(KeyWrap.recipient == "root", KeyWrap.recipient_id != fresh.status()[0].id)
        session.execute(gone.where(KeyWrap.data_key_id.in_(opened)), execution_options={"synchronize_session": False})
        lost = session.scalar(select(func.count()).select_from(_not_wrapped_by(fresh).subquery())) or 0
    _note(keystore, "recover", "done")
    return Recovered(rewrapped, lost)


# Steps


def _in_force(session: Session) -> RecoveryPublic | None:
    newest = select(RecoveryPublic).order_by(RecoveryPublic.created_at.desc(), RecoveryPublic.id.desc()).limit(1)
    return session.scalar(newest)


def _copy(public: RecoveryPublic, key_id: UUID, data_key: bytes, now: int) -> KeyWrap:
    return KeyWrap(
        id=new_id(),
        data_key_id=key_id,
        recipient=RECIPIENT,
        recipient_id=public.name,
        wrapped=seal_to(public.public, data_key, _info(key_id)),
        created_at=now,
    )


def _info(key_id: UUID) -> bytes:
    return b"telepsych/recovery/data-key/" + key_id.bytes


def _kept() -> Select[UUID]:
    return select(DataKey.id).where(DataKey.destroyed_at.is_(None))


def _without_copy(name: str) -> Select[UUID]:
    return _kept().where(~_is_wrapped(RECIPIENT, name))


def _not_wrapped_by(ring: keyring.Keyring) -> Select[UUID]:
    return _kept().where(~_is_wrapped("root", ring.status()[0].id))


def _is_wrapped(recipient: str, name: str) -> Exists:
    """Whether a data key has a wrap by somebody. (`NOT IN` would be slow on PostgreSQL with many keys.)"""
    wrap = aliased(KeyWrap)
    return exists().where(wrap.data_key_id == DataKey.id, wrap.recipient == recipient, wrap.recipient_id == name)


def _batches(keystore: Engine, query: Select[UUID]) -> Iterator[Sequence[UUID]]:
    """Ids in order, a batch at a time, so that no write lock is held for long."""
    after: UUID | None = None
    while True:
        with reading(keystore) as session:
            page = query if after is None else query.where(DataKey.id > after)
            batch = session.scalars(page.order_by(DataKey.id).limit(BATCH)).all()
        if not batch:
            return
        yield batch
        after = batch[-1]


def _fill(vault: "Vault", public: RecoveryPublic, batch: Sequence[UUID]) -> int:
    now = machine_time()
    copies = []
    for key_id in batch:
        try:
            copies.append(_copy(public, key_id, vault.data_key(key_id), now))
        except CannotOpen:
            continue  # destroyed meanwhile, or its root key is gone: counted as missing
    return _add_where_kept(vault.keystore, copies)


def _rewrap(keystore: Engine, key: RecoveryKey, fresh: keyring.Keyring, batch: Sequence[UUID]) -> int:
    copies = select(KeyWrap).where(KeyWrap.recipient == RECIPIENT, KeyWrap.recipient_id == key.id)
    with reading(keystore) as session:
        found = session.scalars(copies.where(KeyWrap.data_key_id.in_(batch))).all()
    now = machine_time()
    wraps = []
    for copy in found:
        data_key = key.open(copy.wrapped, _info(copy.data_key_id))
        root, wrapped = fresh.wrap(data_key, wrap_context(copy.data_key_id))
        wraps.append(
            KeyWrap(
                id=new_id(),
                data_key_id=copy.data_key_id,
                recipient="root",
                recipient_id=root,
                wrapped=wrapped,
                created_at=now,
            )
        )
    return _add_where_kept(keystore, wraps)


def _add_where_kept(keystore: Engine, wraps: Sequence[KeyWrap]) -> int:
    """Add wraps of keys that are still kept: one destroyed meanwhile must not come back by a wrap of ours."""
    with writing(keystore) as session:
        asked = _kept().where(DataKey.id.in_([wrap.data_key_id for wrap in wraps])).with_for_update()
        kept = set(session.scalars(asked))
        added = [wrap for wrap in wraps if wrap.data_key_id in kept]
        session.add_all(added)
    return len(added)


def _derivation(keystore: Engine, key: RecoveryKey) -> bytes:
    with reading(keystore) as session:
        public = session.scalar(select(RecoveryPublic).where(RecoveryPublic.name == key.id))
    if public is None or public.derivation is None:
        raise Invalid("These shares are of another recovery key than this keystore's.")
    return key.open(public.derivation, DERIVATION)


def _put_in_place(half_made: Path, ring: Path) -> None:
    """Take the keyring's place without ever overwriting one."""
    try:
        os.link(half_made, ring)
    except FileExistsError:
        raise Misconfigured(f"{ring} has come back meanwhile. Nothing was overwritten.") from None
    half_made.unlink()
    keyring.settle(ring.parent)


def _note(keystore: Engine, act: str, outcome: str) -> None:
    with writing(keystore) as session:
        session.add(KeyEvent(id=new_id(), at=machine_time(), act=act, outcome=outcome))
