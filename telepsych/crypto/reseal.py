"""A new generation of data keys: rows are sealed anew in the background, and a concurrent edit always wins.

A row is read, opened, and sealed with the newest key of its scope; the new ciphertext takes the old one's place only
where that still is. The content and its version stay. Audit rows are never changed: their detail stays under the
generation it was written with, so the keys of older generations are kept.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Engine, Table, bindparam, func, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from telepsych.crypto import data_keys, envelope
from telepsych.crypto.data_keys import KINDS, NEW_GENERATION
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, reading
from telepsych.crypto.scopes import Scope
from telepsych.crypto.sealed import Sealed, registry
from telepsych.crypto.vault import Vault

log = logging.getLogger("telepsych.crypto")
BATCH = 500
FEW = 200
"""Up to so many old keys the database picks the rows; beyond, it is as quick to look at each."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """One row's ciphertext, before and after."""

    row_id: UUID
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a table, read and sealed anew but not written yet."""

    model: type[Sealed]
    after: UUID
    """The last row looked at; the next page begins behind it."""
    sealings: Sequence[Sealing]
    unopened: int


def begin(keystore: Engine, vault: Vault, kind: str = "", owner: UUID | None = None) -> int:
    """A new generation for every scope of this kind and owner (all, when empty). Returns how many keys were made.

    A scope whose last generation is still waiting for its rows gets none: that one is finished first.
    """
    made, batch = 0, list[Scope]()
    for scope in _scopes(keystore, kind, owner):
        batch.append(scope)
        if len(batch) == BATCH:
            made += data_keys.add_generations(keystore, vault.provider, batch)
            batch = []
    if batch:
        made += data_keys.add_generations(keystore, vault.provider, batch)
    vault.flush()
    return made


def old_keys(keystore: Engine) -> frozenset[UUID]:
    """Keys that a newer generation has taken the place of, and that are not destroyed."""
    newer = aliased(DataKey)
    same = (newer.owner_id == DataKey.owner_id) & (newer.kind == DataKey.kind)
    same &= (newer.compartment == DataKey.compartment) & (newer.generation > DataKey.generation)
    replaced = select(DataKey.id).where(DataKey.destroyed_at.is_(None), DataKey.kind.in_(KINDS))
    with reading(keystore) as session:
        return frozenset(session.scalars(replaced.where(select(newer.id).where(same).exists())))


def tables() -> Iterator[type[Sealed]]:
    """Every table whose rows can be sealed anew: all with a sealed document, but for those that are never changed."""
    return (model for model, _ in registry() if not getattr(model, "__immutable__", False))


def read_page(
    session: Session, vault: Vault, model: type[Sealed], old: frozenset[UUID], after: UUID, batch: int = BATCH
) -> Page | None:
    """The next rows of a table that lie under old keys, sealed anew. None at the end of the table."""
    table = cast(Any, model)
    page = select(table).where(table.id > after).order_by(table.id).limit(batch)
    if len(old) <= FEW:
        page = page.where(func.substr(table.sealed, 3, 16).in_([key.bytes for key in old]))
    rows = session.scalars(page).all()
    if not rows:
        return None
    ours = [row for row in rows if row.sealed and _is_under(row.sealed, old)]
    sealings = [one for row in ours if (one := _sealed_anew(vault, row))]
    return Page(model, rows[-1].id, sealings, len(ours) - len(sealings))


def write_page(session: Session, page: Page) -> int:
    """Put the new ciphertexts where the old ones still are. Returns how many were: the others were edited meanwhile."""
    if not page.sealings:
        return 0
    table = cast(Table, cast(Any, page.model).__table__)
    there = (table.c.id == bindparam("row")) & (table.c.sealed == bindparam("before"))
    statement = update(table).where(there).values(sealed=bindparam("after"))
    found = [{"row": one.row_id, "before": one.before, "after": one.after} for one in page.sealings]
    return int(session.connection().execute(statement, found).rowcount)


def fingerprint(sealed: bytes) -> bytes:
    """The hash by which an audit entry names a ciphertext."""
    return hashlib.sha256(sealed).digest()


def waiting(keystore: Engine) -> list[UUID]:
    """New keys whose scopes may still have rows under an older one."""
    return data_keys.unfinished(keystore, NEW_GENERATION)


def finish(keystore: Engine, key_ids: Sequence[UUID]) -> None:
    """Note that nothing more can be sealed anew for these keys."""
    for at in range(0, len(key_ids), BATCH):
        data_keys.finish(keystore, NEW_GENERATION, key_ids[at : at + BATCH])


def _is_under(sealed: bytes, old: frozenset[UUID]) -> bool:
    try:
        return envelope.key_id_of(sealed) in old
    except CannotOpen:
        return False


def _sealed_anew(vault: Vault, row: Any) -> Sealing | None:
    """The row under the newest key of its scope; None when it does not open: then it stays as it is."""
    place = (row.sealing_scope, row.__tablename__, row.id, row.row_version)
    try:
        plaintext = vault.open(*place, row.sealed, row.sealing_extra())
    except CannotOpen:
        log.error("a sealed row of %s does not open", row.__tablename__)
        return None
    return Sealing(row.id, row.sealed, vault.seal(*place, plaintext, row.sealing_extra()))


def _scopes(keystore: Engine, kind: str, owner: UUID | None) -> Iterator[Scope]:
    """Scopes that have a data key, a page at a time."""
    place = (DataKey.kind, DataKey.owner_id, DataKey.compartment)
    query = select(*place).where(DataKey.destroyed_at.is_(None), DataKey.kind.in_((kind,) if kind else KINDS))
    if owner is not None:
        query = query.where(DataKey.owner_id == owner)
    last: tuple[str, UUID, str] | None = None
    while True:
        page = query if last is None else query.where(tuple_(*place) > last)
        with reading(keystore) as session:
            found = session.execute(page.distinct().order_by(*place).limit(BATCH)).all()
        if not found:
            return
        for each in found:
            yield Scope(*each)
        last = found[-1]
