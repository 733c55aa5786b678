"""The vault: seals and opens, finds data keys, and derives the secrets of single purposes.

Unwrapped keys are cached in the process for five minutes, so that pages go on while the key provider is away for a
moment, and are forgotten within seconds when the keystore's epoch moves: a key was destroyed or replaced. Python cannot
wipe memory: a core dump of the process holds keys.
"""

import hmac
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.pool import NullPool

from telepsych.core.database import open_engine
from telepsych.core.errors import Unavailable
from telepsych.core.settings import Settings
from telepsych.crypto import data_keys, envelope
from telepsych.crypto.envelope import Part
from telepsych.crypto.key_cache import KeyCache
from telepsych.crypto.keystore import epoch_of
from telepsych.crypto.provider import KeyProvider, derived
from telepsych.crypto.providers import provider_for
from telepsych.crypto.scopes import Scope

CACHED_FOR = 300.0
"""Seconds."""
MOST_CACHED = 1_000
LOOK_EVERY = 2.0
"""Seconds from one look at the keystore's epoch to the next; longer while the keystore is away."""
LOOK_AGAIN = 30.0
BLIND_BYTES = 16
"""A whole HMAC would do no harm; 128 bits are enough that no two addresses of a practice ever meet."""


@dataclass(frozen=True, slots=True)
class BlindIndex:
    """A keyed hash by which a value is looked up without being kept in clear, and the version of its key."""

    value: bytes
    version: int


class Vault:
    """Keys and what they do. One per process; nothing of it is ever printed. `clock` tells seconds that never jump."""

    def __init__(self, provider: KeyProvider, keystore: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self.keystore = keystore
        self._clock = clock
        self._keys: KeyCache[UUID, bytes] = KeyCache(CACHED_FOR, MOST_CACHED, clock)
        self._current: KeyCache[Scope, UUID] = KeyCache(CACHED_FOR, MOST_CACHED, clock)
        self._derived: dict[str, bytes] = {}
        self._epoch: int | None = None
        self._look_at = 0.0

    def __repr__(self) -> str:
        return f"<Vault {self.provider.name}>"

    # Sealing and opening

    def seal(
        self, scope: Scope, table: str, row_id: UUID, version: int, plaintext: bytes, extra: Sequence[Part] = ()
    ) -> bytes:
        """Seal a row's document under the newest key of its scope."""
        key_id = self.current_key(scope)
        key = self._key(key_id)
        return envelope.seal(key, key_id, envelope.context_of(scope, key_id, table, row_id, version, extra), plaintext)

    def open(
        self, scope: Scope, table: str, row_id: UUID, version: int, sealed: bytes, extra: Sequence[Part] = ()
    ) -> bytes:
        """Open a row's document. Raises `CannotOpen` when it is not exactly what belongs there."""
        key_id = envelope.key_id_of(sealed)
        context = envelope.context_of(scope, key_id, table, row_id, version, extra)
        return envelope.open_sealed(self._key(key_id), context, sealed)

    # Secrets of single purposes

    def derive(self, label: str) -> bytes:
        """The 32-byte secret of one purpose."""
        if label not in self._derived:
            self._derived[label] = derived(self.provider.derivation, label)
        return self._derived[label]

    def mac(self, label: str, data: bytes) -> bytes:
        """A keyed hash (HMAC-SHA256) under the secret of one purpose."""
        return hmac.digest(self.derive(label), data, "sha256")

    def blind(self, purpose: str, text: str) -> BlindIndex:
        """The look-up hash of an address, folded so that spelling does not matter."""
        folded = unicodedata.normalize("NFKC", text).strip().casefold()
        return BlindIndex(self.mac(f"blind/{purpose}", folded.encode())[:BLIND_BYTES], 1)

    def flush(self) -> None:
        """Forget every cached key."""
        self._keys.flush()
        self._current.flush()

    # Data keys

    def data_key(self, key_id: UUID) -> bytes:
        """A data key itself, for its recovery copy. Raises `CannotOpen` when it is destroyed or its root is gone."""
        return self._key(key_id)

    def current_key(self, scope: Scope) -> UUID:
        """The key under which a scope's rows are sealed now; made when there is none."""
        self._look()
        turn = self._current.turn
        key_id = self._current.get(scope)
        if key_id is None:
            key_id = data_keys.newest(self.keystore, scope) or data_keys.make(self.keystore, self.provider, scope)
            self._current.keep(scope, key_id, turn)
        return key_id

    def _key(self, key_id: UUID) -> bytes:
        self._look()
        turn = self._keys.turn
        key = self._keys.get(key_id)
        if key is None:
            key = data_keys.unwrapped(self.keystore, self.provider, key_id)
            self._keys.keep(key_id, key, turn)
        return key

    def _look(self) -> None:
        """Forget the known keys when the keystore says so. While it is away, they serve until their time is over."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_AGAIN
        try:
            epoch = epoch_of(self.keystore)
        except Unavailable:
            return
        self._look_at = now + LOOK_EVERY
        if self._epoch is not None and self._epoch != epoch:
            self.flush()
        self._epoch = epoch


def open_keystore(settings: Settings) -> Engine:
    """The keystore's engine. It holds no connection between uses: keys are cached, and threads and forks stay apart."""
    return open_engine(settings.keystore, settings.write_wait, pool=NullPool)


def open_vault(settings: Settings) -> Vault:
    """The practice's vault. Raises `Misconfigured` when the key provider is not usable."""
    keystore = open_keystore(settings)
    return Vault(provider_for(settings, keystore), keystore)
