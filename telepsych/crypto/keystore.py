"""Wrapped data keys, in a database of their own: an old backup of the records must not bring back a destroyed key."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine, MetaData, UniqueConstraint, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session

from telepsych.core.columns import code, digest, key, moment, number, opaque, ref, sealed_blob, small
from telepsych.core.database import NAMES, WriteLock
from telepsych.core.errors import Unavailable

EPOCH_ROW = UUID(int=0)


class KeystoreBase(DeclarativeBase):
    """Every record of the keystore."""

    metadata = MetaData(naming_convention=NAMES)


class DataKey(KeystoreBase):
    """A data key's existence: whose it is, and since when. The key itself is only ever kept wrapped."""

    __tablename__ = "data_key"
    __table_args__ = (UniqueConstraint("owner_id", "kind", "compartment", "generation"),)

    id = key()
    kind: Mapped[str] = code(16, "patient, person, practice or derivation")
    owner_id: Mapped[UUID] = opaque(index=True)
    compartment: Mapped[str] = code(16, "the name of a compartment")
    generation: Mapped[int] = small(default=1)
    """New writes use the newest generation."""
    created_at: Mapped[int] = moment()
    destroyed_at: Mapped[int | None] = moment(optional=True)


class KeyWrap(KeystoreBase):
    """One wrap of a data key. A key may have several: by the root key, for recovery, or for a person."""

    __tablename__ = "key_wrap"
    __table_args__ = (UniqueConstraint("data_key_id", "recipient", "recipient_id"),)

    id = key()
    data_key_id: Mapped[UUID] = ref("data_key.id")
    recipient: Mapped[str] = code(16, "root, recovery or person")
    recipient_id: Mapped[str] = code(64, "the id of a root key or recipient")
    wrapped: Mapped[bytes] = sealed_blob()
    created_at: Mapped[int] = moment()


class RecoveryPublic(KeystoreBase):
    """The public half of a recovery key; its private half is on paper, in three shares. The newest one is in force."""

    __tablename__ = "recovery_key"

    id = key()
    name: Mapped[str] = code(16, "the beginning of the hash of the public half", unique=True)
    public: Mapped[bytes] = digest()
    derivation: Mapped[bytes | None] = sealed_blob(optional=True)
    """The derivation secret, sealed to this key: look-ups, peppers and signatures survive a lost keyring."""
    created_at: Mapped[int] = moment()


class RootKeyRow(KeystoreBase):
    """A root key that lives in a cloud service or a hardware module, and what it may still do."""

    __tablename__ = "root_key"

    id = key()
    name: Mapped[str] = code(64, "the id of a root key", unique=True)
    state: Mapped[str] = code(16, "the name of a state")
    slot: Mapped[str | None] = code(16, "primary or nothing: there is one", optional=True, unique=True)
    created_at: Mapped[int] = moment()


class KeyEpoch(KeystoreBase):
    """One row whose number moves whenever processes have to forget the keys they know."""

    __tablename__ = "key_epoch"

    id = key()
    epoch: Mapped[int] = number()


class KeyEvent(KeystoreBase):
    """What was intended and done with keys: an intent row, the act, an outcome row."""

    __tablename__ = "key_event"

    id = key()
    at: Mapped[int] = moment(index=True)
    data_key_id = opaque(optional=True, index=True)
    root_id: Mapped[str | None] = code(64, "the id of a root key", optional=True)
    act: Mapped[str] = code(32, "the name of the act")
    outcome: Mapped[str] = code(16, "intended, done or failed")


def wrap_context(key_id: UUID) -> bytes:
    """What a wrap of a data key by a root key is bound to."""
    return b"telepsych/data-key/" + key_id.bytes


@contextmanager
def reading(keystore: Engine) -> Iterator[Session]:
    """A session that reads. Raises `Unavailable` when the keystore cannot answer."""
    with _said(), Session(keystore, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(keystore: Engine) -> Iterator[Session]:
    """One short transaction, committed at the end. Raises `Unavailable` when the keystore cannot answer."""
    engine = keystore.execution_options(telepsych_writes=True)
    with _said(), WriteLock(keystore).held(), Session(engine, expire_on_commit=False) as session:
        yield session
        session.commit()


def move_epoch(session: Session) -> None:
    """Make every process forget the keys it knows, once this transaction commits."""
    moved = update(KeyEpoch).where(KeyEpoch.id == EPOCH_ROW).values(epoch=KeyEpoch.epoch + 1)
    if session.execute(moved).rowcount == 0:  # type: ignore[attr-defined]
        session.add(KeyEpoch(id=EPOCH_ROW, epoch=1))
        session.flush()


def epoch_of(keystore: Engine) -> int:
    """The present epoch."""
    with reading(keystore) as session:
        return session.scalar(select(KeyEpoch.epoch).where(KeyEpoch.id == EPOCH_ROW)) or 0


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except OperationalError as problem:
        raise Unavailable from problem
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise Unavailable from problem
        raise
