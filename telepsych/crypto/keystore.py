"""Wrapped data keys, in a database of their own: an old backup of the records must not bring back a destroyed key."""

from uuid import UUID

from sqlalchemy import MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped

from telepsych.core.columns import code, key, moment, opaque, ref, sealed_blob, small
from telepsych.core.database import NAMES


class KeystoreBase(DeclarativeBase):
    """Every record of the keystore."""

    metadata = MetaData(naming_convention=NAMES)


class DataKey(KeystoreBase):
    """A data key's existence: whose it is, and since when. The key itself is only ever kept wrapped."""

    __tablename__ = "data_key"
    __table_args__ = (UniqueConstraint("owner_id", "kind", "compartment", "generation"),)

    id = key()
    kind: Mapped[str] = code(16, "patient, person or practice")
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


class KeyEvent(KeystoreBase):
    """What was intended and done with keys: an intent row, the act, an outcome row."""

    __tablename__ = "key_event"

    id = key()
    at: Mapped[int] = moment(index=True)
    data_key_id = opaque(optional=True, index=True)
    act: Mapped[str] = code(32, "the name of the act")
    outcome: Mapped[str] = code(16, "intended, done or failed")
