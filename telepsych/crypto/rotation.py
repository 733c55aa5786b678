"""A new root key while the practice runs: every data key is wrapped anew, a batch at a time.

A wrap is replaced in its row, from the old to the new, so a reader finds the one or the other and never none; the old
root key goes on opening until the last wrap has left it. Whatever stops a rotation, another run goes on where it ended,
and two at once only share the work.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Engine, Table, bindparam, func, select, update

from telepsych.core.errors import Conflict
from telepsych.crypto import data_keys
from telepsych.crypto.data_keys import DONE, FAILED, INTENDED, ROOT
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import KeyWrap, move_epoch, reading, wrap_context, writing
from telepsych.crypto.provider import NEXT, KeyProvider, KeyState, RootKey

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    primary: str
    is_new: bool
    """Whether this run brought the primary key in; else it went on with what another had begun."""
    rewrapped: int
    unopened: int
    """Wraps that no root key opens. They stay as they are."""


def rotate(keystore: Engine, provider: KeyProvider, existing: str = "", batch: int = BATCH) -> Rotated:
    """Bring in a new primary key and wrap every data key with it; first finish what an earlier run left undone."""
    roots = provider.status()
    first = primary = roots[0].id if roots and roots[0].state is KeyState.PRIMARY else ""
    done, unopened = (0, 0) if existing or not pending(keystore, first) else rewrap(keystore, provider, batch)
    if done == 0:
        with _noted(keystore, "root-add"):
            primary = provider.add_primary(first, existing).id
        done, unopened = rewrap(keystore, provider, batch)
    data_keys.note(keystore, "root-rewrap", DONE, primary)
    return Rotated(provider.status()[0].id, primary != first, done, unopened)


def rewrap(keystore: Engine, provider: KeyProvider, batch: int = BATCH) -> tuple[int, int]:
    """Wrap by the primary key whatever is wrapped by another one. Returns how many were, and how many do not open."""
    done = 0
    while True:
        changed, unopened = _pass(keystore, provider, batch)
        done += changed
        if not changed:
            return done, unopened


def pending(keystore: Engine, primary: str) -> int:
    """How many wraps are still by another root key than this one."""
    others = select(func.count()).select_from(KeyWrap).where(KeyWrap.recipient == ROOT)
    with reading(keystore) as session:
        return session.scalar(others.where(KeyWrap.recipient_id != primary)) or 0


def wraps_by_root(keystore: Engine) -> dict[str, int]:
    """How many data keys each root key wraps."""
    counted = select(KeyWrap.recipient_id, func.count()).where(KeyWrap.recipient == ROOT)
    with reading(keystore) as session:
        return {root: count for root, count in session.execute(counted.group_by(KeyWrap.recipient_id))}


def retire(keystore: Engine, provider: KeyProvider, root_id: str) -> RootKey:
    """The next step out of use for a root key: decrypt-only, disabled, destroyed. Returns the key as it is then.

    Raises `Conflict` while any data key needs it, and for the primary key.
    """
    state = NEXT.get(_state_of(provider, root_id))
    if state is None:
        raise Conflict(f"Root key {root_id} is not one that can be retired. Run `telepsych keys status`.")
    _refuse_if_needed(keystore, root_id)
    retired = _set_state(keystore, provider, root_id, state)
    if state is KeyState.DISABLED:
        try:
            _refuse_if_needed(keystore, root_id)
        except Conflict:  # a process that had not noticed the new primary key wrapped one more
            _set_state(keystore, provider, root_id, KeyState.DECRYPT_ONLY)
            raise
    return retired


def reinstate(keystore: Engine, provider: KeyProvider, root_id: str) -> RootKey:
    """Let a disabled root key open again: an old copy of the keystore may need it. Raises `Conflict`."""
    return _set_state(keystore, provider, root_id, KeyState.DECRYPT_ONLY)


def _set_state(keystore: Engine, provider: KeyProvider, root_id: str, state: KeyState) -> RootKey:
    with _noted(keystore, f"root-{state}", root_id):
        provider.set_state(root_id, state)
    with writing(keystore) as session:
        move_epoch(session)
    return next(root for root in provider.status() if root.id == root_id)


def _refuse_if_needed(keystore: Engine, root_id: str) -> None:
    needed = wraps_by_root(keystore).get(root_id, 0)
    if needed:
        raise Conflict(f"{needed} data keys still need root key {root_id}. Run `telepsych keys rotate` again first.")


def _state_of(provider: KeyProvider, root_id: str) -> KeyState:
    found = [root.state for root in provider.status() if root.id == root_id]
    if not found:
        raise Conflict(f"There is no root key {root_id}. Run `telepsych keys status`.")
    return found[0]


@contextmanager
def _noted(keystore: Engine, act: str, root_id: str = "") -> Iterator[None]:
    """An intent row, the act, an outcome row."""
    data_keys.note(keystore, act, INTENDED, root_id)
    try:
        yield
    except BaseException:
        data_keys.note(keystore, act, FAILED, root_id)
        raise
    data_keys.note(keystore, act, DONE, root_id)


_Old = tuple[UUID, UUID, str, bytes]
"""A wrap as it was read: its id, its data key, its root key and the wrapped key."""


def _pass(keystore: Engine, provider: KeyProvider, batch: int) -> tuple[int, int]:
    """Once over all wraps, in the order of their ids."""
    changed, unopened, after = 0, 0, UUID(int=0)
    while found := _next(keystore, provider.status()[0].id, after, batch):
        after = found[-1][0]
        anew = list[dict[str, object]]()
        try:
            anew.extend(one for old in found if (one := _wrapped_anew(provider, old)))
        finally:  # a provider that fails now and then must not keep a whole batch from ever being done
            changed += _replace(keystore, anew)
        unopened += len(found) - len(anew)
    return changed, unopened


def _next(keystore: Engine, primary: str, after: UUID, batch: int) -> Sequence[_Old]:
    columns = (KeyWrap.id, KeyWrap.data_key_id, KeyWrap.recipient_id, KeyWrap.wrapped)
    others = select(*columns).where(KeyWrap.recipient == ROOT, KeyWrap.recipient_id != primary, KeyWrap.id > after)
    with reading(keystore) as session:
        return list(session.execute(others.order_by(KeyWrap.id).limit(batch)))


def _wrapped_anew(provider: KeyProvider, old: _Old) -> dict[str, object] | None:
    wrap_id, key_id, root_id, wrapped = old
    context = wrap_context(key_id)
    try:
        new_root, anew = provider.wrap(provider.unwrap(root_id, wrapped, context), context)
    except CannotOpen:
        return None
    return {"the_id": wrap_id, "old": wrapped, "new": anew, "root": new_root}


def _replace(keystore: Engine, anew: Sequence[dict[str, object]]) -> int:
    """Put the new wraps in the places of the old ones, where these still are: one statement, one transaction."""
    if not anew:
        return 0
    table = cast(Table, KeyWrap.__table__)
    values: dict[str, Any] = {"wrapped": bindparam("new"), "recipient_id": bindparam("root")}
    there = (table.c.id == bindparam("the_id")) & (table.c.wrapped == bindparam("old"))
    with writing(keystore) as session:
        result = session.connection().execute(update(table).where(there).values(**values), list(anew))
        return int(result.rowcount)
