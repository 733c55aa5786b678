"""Column factories that say why a value may stay in clear. Every column in both databases is made here or sealed.

The registry test walks the metadata: a column without a classification in `info` fails it. Nothing that says something
about a person is made here; that goes into a row's sealed document (`telepsych.crypto.sealed`).
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Enum, ForeignKey, Integer, LargeBinary, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from telepsych.core.ids import new_id

CLASS = "telepsych.class"


def key() -> Mapped[UUID]:
    """The row's own opaque id (UUIDv7)."""
    return mapped_column(Uuid, primary_key=True, default=new_id, info={CLASS: "id"})


def ref(target: str, *, optional: bool = False, index: bool = True, unique: bool = False) -> Mapped[Any]:
    """A foreign key, `target` being `table.column`."""
    return mapped_column(Uuid, ForeignKey(target), nullable=optional, index=index, unique=unique, info={CLASS: "ref"})


def opaque(*, optional: bool = False, index: bool = False, unique: bool = False) -> Mapped[Any]:
    """An id that points across rooms or databases, hence without a foreign key."""
    return mapped_column(Uuid, nullable=optional, index=index, unique=unique, info={CLASS: "id"})


def moment(*, optional: bool = False, index: bool = False) -> Mapped[Any]:
    """Microseconds since 1970-01-01 UTC."""
    return mapped_column(BigInteger, nullable=optional, index=index, info={CLASS: "time"})


def state(kind: type[StrEnum], *, index: bool = False, optional: bool = False) -> Mapped[Any]:
    """A state that queues and clocks need, stored as its value."""
    stored = Enum(
        kind, native_enum=False, length=32, values_callable=lambda k: [m.value for m in k], create_constraint=False
    )
    return mapped_column(stored, nullable=optional, index=index, info={CLASS: "state"})


def code(length: int, why: str, *, optional: bool = False, index: bool = False, unique: bool = False) -> Mapped[Any]:
    """A short technical word; `why` says why it tells nothing about a person."""
    return mapped_column(String(length), nullable=optional, index=index, unique=unique, info={CLASS: f"code: {why}"})


def number(*, default: int | None = None, optional: bool = False, index: bool = False) -> Mapped[Any]:
    """A counter, sequence or version number."""
    return mapped_column(BigInteger, default=default, nullable=optional, index=index, info={CLASS: "counter"})


def small(*, default: int | None = None, optional: bool = False) -> Mapped[Any]:
    """A small technical number: minutes, attempts, a version."""
    return mapped_column(Integer, default=default, nullable=optional, info={CLASS: "counter"})


def flag(*, default: bool = False) -> Mapped[bool]:
    """A technical yes or no that says nothing about a person."""
    return mapped_column(Boolean, default=default, info={CLASS: "state"})


def digest(*, optional: bool = False, index: bool = False, unique: bool = False) -> Mapped[Any]:
    """A keyed or cryptographic hash."""
    return mapped_column(LargeBinary, nullable=optional, index=index, unique=unique, info={CLASS: "digest"})


def position() -> Mapped[Any]:
    """A row's own place in an order, given by whoever writes it."""
    return mapped_column(BigInteger, primary_key=True, autoincrement=False, info={CLASS: "counter"})


def receipt(*, optional: bool = False) -> Mapped[Any]:
    """Somebody's signature or time stamp over a hash."""
    return mapped_column(LargeBinary, nullable=optional, info={CLASS: "digest"})


def sealed_blob(*, optional: bool = False) -> Mapped[Any]:
    """Ciphertext."""
    return mapped_column(LargeBinary, nullable=optional, info={CLASS: "sealed"})
