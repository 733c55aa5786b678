"""The vault: seals and opens, finds and makes data keys, and derives the secrets of single purposes.

A data key is committed to the keystore before the first row that needs it; an orphan is harmless. Unwrapped keys are
cached in the process for five minutes. Python cannot wipe memory: a core dump of the process holds keys.
"""

import hmac
import secrets
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from telepsych.core.database import WriteLock, open_engine
from telepsych.core.errors import Unavailable
from telepsych.core.ids import new_id
from telepsych.core.settings import Settings
from telepsych.crypto import envelope, keyring
from telepsych.crypto.envelope import CannotOpen, Part
from telepsych.crypto.keystore import DataKey, KeyWrap
from telepsych.crypto.provider import KeyProvider
from telepsych.crypto.scopes import Scope

K = TypeVar("K")
V = TypeVar("V")
CACHED_FOR = 300.0
"""Seconds."""
MOST_CACHED = 1_000
BLIND_BYTES = 16


@dataclass(frozen=True, slots=True)
class BlindIndex:
    """A keyed hash by which a value is looked up without being kept in clear, and the version of its key."""

    value: bytes
    version: int


class Vault:
    """Keys and what they do. One per process; nothing of it is ever printed."""

    def __init__(self, provider: KeyProvider, keystore: Engine) -> None:
        self.provider = provider
        self.keystore = keystore
        self._lock = WriteLock(keystore)
        self._keys: dict[UUID, tuple[float, bytes]] = {}
        self._current: dict[Scope, tuple[float, UUID]] = {}
        self._derived: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Vault {self.provider.name}>"

    # Sealing and opening

    def seal(
        self, scope: Scope, table: str, row_id: UUID, version: int, plaintext: bytes, extra: Sequence[Part] = ()
    ) -> bytes:
        """Seal a row's document under the newest key of its scope."""
        key_id, key = self._newest(scope)
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
            self._derived[label] = self.provider.derive(label)
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
        self._keys.clear()
        self._current.clear()

    # Data keys

    def _newest(self, scope: Scope) -> tuple[UUID, bytes]:
        known = self._current.get(scope)
        if known and time.monotonic() < known[0]:
            return known[1], self._key(known[1])
        key_id = self._find(scope) or self._make(scope)
        _keep(self._current, scope, key_id)
        return key_id, self._key(key_id)

    def _key(self, key_id: UUID) -> bytes:
        known = self._keys.get(key_id)
        if known and time.monotonic() < known[0]:
            return known[1]
        wrap = self._wrap_of(key_id)
        key = self.provider.unwrap(wrap.recipient_id, wrap.wrapped, _wrap_context(key_id))
        _keep(self._keys, key_id, key)
        return key

    def _find(self, scope: Scope) -> UUID | None:
        newest = (
            select(DataKey.id)
            .where(DataKey.owner_id == scope.owner, DataKey.kind == scope.kind)
            .where(DataKey.compartment == scope.compartment, DataKey.destroyed_at.is_(None))
            .order_by(DataKey.generation.desc())
            .limit(1)
        )
        with _unavailable(), Session(self.keystore) as session:
            return session.scalar(newest)

    def _wrap_of(self, key_id: UUID) -> KeyWrap:
        by_root = select(KeyWrap).where(KeyWrap.data_key_id == key_id, KeyWrap.recipient == "root")
        with _unavailable(), Session(self.keystore, expire_on_commit=False) as session:
            wraps = session.scalars(by_root).all()
        known = {root.id for root in self.provider.status()}
        usable = [wrap for wrap in wraps if wrap.recipient_id in known]
        if not usable:
            raise CannotOpen
        return usable[0]

    def _make(self, scope: Scope) -> UUID:
        """A new data key, committed before anything is sealed with it. Of two makers the first wins."""
        key_id = new_id()
        root_id, wrapped = self.provider.wrap(secrets.token_bytes(32), _wrap_context(key_id))
        now = time.time_ns() // 1000
        row = DataKey(
            id=key_id,
            kind=scope.kind,
            owner_id=scope.owner,
            compartment=scope.compartment,
            generation=1,
            created_at=now,
        )
        wrap = KeyWrap(data_key_id=key_id, recipient="root", recipient_id=root_id, wrapped=wrapped, created_at=now)
        engine = self.keystore.execution_options(telepsych_writes=True)
        try:
            with self._lock.held(), _unavailable(), Session(engine) as session:
                session.add(row)
                session.flush()
                session.add(wrap)
                session.commit()
        except IntegrityError:
            found = self._find(scope)
            if found is None:
                raise CannotOpen from None
            return found
        return key_id


@contextmanager
def _unavailable() -> Iterator[None]:
    """Say it in our words when the keystore cannot answer."""
    try:
        yield
    except OperationalError as problem:
        raise Unavailable from problem


def open_keystore(settings: Settings) -> Engine:
    """The keystore's engine. It holds no connection between uses: keys are cached, and threads and forks stay apart."""
    return open_engine(settings.keystore, settings.write_wait, pool=NullPool)


def open_vault(settings: Settings) -> Vault:
    """The practice's vault. Raises `Misconfigured` when the keyring is missing, readable or beside the data."""
    data = settings.data
    ring = keyring.load(settings.keyring_file, (data / "records", data / "keystore"))
    return Vault(ring, open_keystore(settings))


def _wrap_context(key_id: UUID) -> bytes:
    return b"telepsych/data-key/" + key_id.bytes


def _keep(cache: dict[K, tuple[float, V]], name: K, value: V) -> None:
    if len(cache) >= MOST_CACHED:
        cache.pop(next(iter(cache)), None)
    cache[name] = (time.monotonic() + CACHED_FOR, value)
