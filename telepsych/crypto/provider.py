"""What every key provider does, wherever the root key lives: in a file, in a cloud service or in a hardware module."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class KeyState(StrEnum):
    """What a root key may still do."""

    PRIMARY = "primary"
    """Wraps new data keys, and opens its wraps. There is one."""
    DECRYPT_ONLY = "decrypt-only"
    """Opens its wraps."""
    DISABLED = "disabled"
    """Does nothing, but can be brought back: old backups of the keystore may need it."""
    DESTROYED = "destroyed"
    """Gone. What is left is its name."""


OPENS = frozenset({KeyState.PRIMARY, KeyState.DECRYPT_ONLY})
NEXT = {KeyState.DECRYPT_ONLY: KeyState.DISABLED, KeyState.DISABLED: KeyState.DESTROYED}
"""The steps by which a root key is retired."""


@dataclass(frozen=True, slots=True)
class RootKey:
    """A root key as an operator may see it: never the key itself."""

    id: str
    state: KeyState
    created_at: int


class KeyProvider(Protocol):
    """Wraps data keys, and keeps the secret from which those of single purposes are derived."""

    @property
    def name(self) -> str:
        """What operators call it."""
        ...

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap a data key. Returns the root key's id and the wrapped key. Raises `Unavailable`."""
        ...

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key. Raises `CannotOpen`; `Unavailable` when the provider cannot answer."""
        ...

    @property
    def derivation(self) -> bytes:
        """The secret behind everything that is derived: blind index, pepper, tickets, audit signing, TURN."""
        ...

    def status(self) -> tuple[RootKey, ...]:
        """All root keys, the primary one first, destroyed ones last."""
        ...

    def add_primary(self, instead_of: str, existing: str = "") -> RootKey:
        """Bring in a new primary key; the one before only opens from now on. Running processes notice by themselves.

        Does nothing when the primary key is another than `instead_of` by now: somebody else was faster. `existing`
        names a key that is prepared or made elsewhere; it may be the primary one already. Returns the primary key.
        """
        ...

    def set_state(self, root_id: str, state: KeyState) -> None:
        """Disable, bring back or destroy a key that is not the primary one. The caller knows that no wrap needs it.

        Raises `Conflict` for a step that is not allowed.
        """
        ...


def may_become(before: KeyState, after: KeyState) -> bool:
    """Whether a root key may go from one state to the other. What is destroyed stays so; a primary key is replaced."""
    return NEXT.get(before) is after or (before, after) == (KeyState.DISABLED, KeyState.DECRYPT_ONLY)


def in_order(keys: list[RootKey]) -> tuple[RootKey, ...]:
    """The primary key first, then the newest first, what is gone last."""
    states = list(KeyState)
    return tuple(sorted(keys, key=lambda key: (states.index(key.state), -key.created_at)))


def derived(secret: bytes, label: str) -> bytes:
    """The 32-byte secret of one purpose (HKDF-SHA256)."""
    return hkdf(secret, f"telepsych/derive/{label}")


def hkdf(secret: bytes, label: str) -> bytes:
    """32 bytes for one use."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=label.encode()).derive(secret)
