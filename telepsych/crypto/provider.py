"""What every key provider does, wherever the root key lives: in a file, in a cloud service or in a hardware module."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RootKey:
    """A root key as an operator may see it: never the key itself."""

    id: str
    state: str
    """`primary` wraps new keys; `decrypt-only` opens older wraps."""
    created_at: int


class KeyProvider(Protocol):
    """Wraps data keys, and hands out secrets of one purpose each."""

    @property
    def name(self) -> str:
        """What operators call it."""
        ...

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap a data key. Returns the root key's id and the wrapped key."""
        ...

    def unwrap(self, root_id: str, wrapped: bytes, context: bytes) -> bytes:
        """The data key. Raises `CannotOpen`; `Unavailable` when the provider cannot answer."""
        ...

    def derive(self, label: str) -> bytes:
        """The 32-byte secret of one purpose: blind index, pepper, tickets, audit signing, TURN."""
        ...

    def status(self) -> tuple[RootKey, ...]:
        """All root keys, the primary one first."""
        ...
