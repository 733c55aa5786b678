"""What providers have in common whose root keys live elsewhere: the keystore says which one is primary, and since when.

They can wrap but not derive, so the derivation secret is kept in the keystore, wrapped and rotated like a data key.
"""

import time
from abc import ABC, abstractmethod

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from telepsych.core.clock import machine_time
from telepsych.core.errors import Conflict
from telepsych.core.ids import new_id
from telepsych.crypto import data_keys
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import RootKeyRow, reading, writing
from telepsych.crypto.provider import OPENS, KeyState, RootKey, in_order, may_become

FRESH_FOR = 2.0
"""Seconds for which a process believes what it knows about root keys."""
SLOT = "primary"


class Faster(Exception):
    """Somebody else has brought in a new primary key meanwhile."""


class RemoteProvider(ABC):
    """Root keys elsewhere. What differs between services is in the abstract methods."""

    name = ""

    def __init__(self, keystore: Engine) -> None:
        self.keystore = keystore
        self._roots: tuple[float, tuple[RootKey, ...]] = (0.0, ())
        self._secret = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        roots = self._known()
        root = roots[0] if roots and roots[0].state is KeyState.PRIMARY else self.add_primary("")
        return root.id, self._wrap(root.id, data_key, context)

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        opening = {root.id for root in self._known() if root.state in OPENS}
        if root_id not in opening:
            opening = {root.id for root in self.status() if root.state in OPENS}
        if root_id not in opening:
            raise CannotOpen
        return self._unwrap(root_id, wrapped, context)

    @property
    def derivation(self) -> bytes:
        if not self._secret:
            key_id = data_keys.newest(self.keystore, data_keys.DERIVATION)
            if key_id is None:
                key_id = data_keys.make(self.keystore, self, data_keys.DERIVATION)
            self._secret = data_keys.unwrapped(self.keystore, self, key_id)
        return self._secret

    def status(self) -> tuple[RootKey, ...]:
        with reading(self.keystore) as session:
            rows = session.scalars(select(RootKeyRow)).all()
        roots = in_order([RootKey(row.name, KeyState(row.state), row.created_at) for row in rows])
        self._roots = (time.monotonic() + FRESH_FOR, roots)
        return roots

    def add_primary(self, instead_of: str, existing: str = "") -> RootKey:
        roots = self.status()
        primary = next((root.id for root in roots if root.state is KeyState.PRIMARY), "")
        if primary != instead_of:
            return roots[0]
        name = self._bring(existing, is_first=not roots)
        if name == primary:
            return roots[0]
        is_new = not existing and all(root.id != name for root in roots)
        try:
            with writing(self.keystore) as session:
                _take_over(session, name, instead_of)
        except (Faster, IntegrityError):
            if is_new:
                self._discard(name)
        return self.status()[0]

    def set_state(self, root_id: str, state: KeyState) -> None:
        before = next((root.state for root in self.status() if root.id == root_id), None)
        if before is None or not may_become(before, state):
            raise Conflict(f"Root key {root_id} cannot become {state}.")
        self._apply(root_id, state)
        with writing(self.keystore) as session:
            session.execute(update(RootKeyRow).where(RootKeyRow.name == root_id).values(state=state.value))
        self.status()

    def _known(self) -> tuple[RootKey, ...]:
        until, roots = self._roots
        return roots if roots and time.monotonic() < until else self.status()

    @abstractmethod
    def _wrap(self, root_id: str, data_key: bytes, context: bytes) -> bytes:
        """Wrap under this root key, bound to the context."""

    @abstractmethod
    def _unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key. Raises `CannotOpen` or `Unavailable`."""

    @abstractmethod
    def _bring(self, existing: str, is_first: bool) -> str:
        """The id of a root key: a new one, or one made elsewhere."""

    @abstractmethod
    def _discard(self, root_id: str) -> None:
        """Throw away a new root key that has wrapped nothing."""

    @abstractmethod
    def _apply(self, root_id: str, state: KeyState) -> None:
        """Tell the service. May be repeated."""


def _take_over(session: Session, name: str, instead_of: str) -> None:
    """Make a key the primary one, in the place of another. Raises `Faster`, `Conflict`."""
    if instead_of:
        before = update(RootKeyRow).where(RootKeyRow.name == instead_of, RootKeyRow.slot == SLOT)
        left = session.execute(before.values(slot=None, state=KeyState.DECRYPT_ONLY.value))
        if left.rowcount != 1:  # type: ignore[attr-defined]
            raise Faster
    known = session.scalar(select(RootKeyRow).where(RootKeyRow.name == name))
    if known is None:
        known = RootKeyRow(id=new_id(), name=name, created_at=machine_time())
        session.add(known)
    elif known.state == KeyState.PRIMARY:
        raise Faster
    elif known.state != KeyState.DECRYPT_ONLY:
        raise Conflict(f"Root key {name} cannot become the primary one.")
    known.state, known.slot = KeyState.PRIMARY.value, SLOT
    session.flush()
