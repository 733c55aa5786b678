"""Rows that say something about a person keep it in one sealed document.

`class Note(Sealed, Base)` with `body: SealedField[str] = sealed_text()` and a `sealing_scope` gets two columns:
`sealed` and `row_version`. The document is sealed when the row is flushed and opened when a field is first read; both
know the row, which a column type could not. The version moves only when the sealed content changes.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast, overload

from sqlalchemy import event
from sqlalchemy.orm import Mapped, Session
from sqlalchemy.orm.attributes import flag_modified

from telepsych.core.columns import number, sealed_blob
from telepsych.core.database import Base
from telepsych.core.ids import new_id
from telepsych.crypto.envelope import Part
from telepsych.crypto.scopes import Scope
from telepsych.crypto.vault import Vault

T = TypeVar("T")
VAULT, TOUCHED = "vault", "touched"
"""Names in `Session.info`: the vault, and the hashes of every ciphertext the unit opened or sealed."""


class SealedField(Generic[T]):
    """One field of a row's sealed document. Assign a new value to change it; changing one in place is not noticed."""

    def __init__(self, default: T) -> None:
        self.default = default
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, row: None, owner: type) -> "SealedField[T]": ...

    @overload
    def __get__(self, row: "Sealed", owner: type) -> T: ...

    def __get__(self, row: "Sealed | None", owner: type) -> "SealedField[T] | T":
        if row is None:
            return self
        return cast(T, _document(row).get(self.name, self.default))

    def __set__(self, row: "Sealed", value: T) -> None:
        document = _document(row)
        if self.name in document and document[self.name] == value:
            return
        document[self.name] = value
        row.__dict__["_changed"] = True
        if "sealed" in row.__dict__:
            flag_modified(row, "sealed")
        else:
            row.sealed = b""


def sealed_text(default: str = "") -> Any:
    """A sealed text."""
    return SealedField(default)


def sealed_json(default: Any = None) -> Any:
    """A sealed value of any JSON type; an object unless another default is given."""
    return SealedField({} if default is None else default)


class Sealed:
    """A row with a sealed document."""

    sealed: Mapped[bytes] = sealed_blob()
    row_version: Mapped[int] = number(default=0)

    @property
    def sealing_scope(self) -> Scope:
        """Whose key seals the row. Worked out from clear columns that never change."""
        raise TypeError(f"{type(self).__name__} does not say whose key seals it")

    def sealing_extra(self) -> tuple[Part, ...]:
        """What else binds the document to its place, from clear columns that never change."""
        return ()


def sealed_fields(model: type) -> tuple[str, ...]:
    """The names of a model's sealed fields."""
    found = {name for part in model.__mro__ for name, value in vars(part).items() if isinstance(value, SealedField)}
    return tuple(sorted(found))


def registry() -> Iterator[tuple[type[Sealed], tuple[str, ...]]]:
    """Every model with sealed fields, and their names."""
    for mapper in sorted(Base.registry.mappers, key=lambda one: one.class_.__name__):
        if issubclass(mapper.class_, Sealed):
            yield mapper.class_, sealed_fields(mapper.class_)


def _document(row: Sealed) -> dict[str, Any]:
    """The row's document, opened on first use and kept beside the row."""
    document = row.__dict__.get("_document")
    if document is None:
        document = row.__dict__["_document"] = _open(row) if row.__dict__.get("sealed") else {}
    return cast(dict[str, Any], document)


def _open(row: Sealed) -> dict[str, Any]:
    info = row.__dict__["_info"]
    vault: Vault = info[VAULT]
    _touch(info, row.sealed)
    plaintext = vault.open(row.sealing_scope, _table(row), _id(row), row.row_version, row.sealed, row.sealing_extra())
    return cast(dict[str, Any], json.loads(plaintext))


def _seal(row: Sealed, info: dict[Any, Any]) -> None:
    document = _document(row)
    row.row_version = (row.row_version or 0) + 1
    plaintext = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    vault: Vault = info[VAULT]
    row.sealed = vault.seal(row.sealing_scope, _table(row), _id(row), row.row_version, plaintext, row.sealing_extra())
    row.__dict__["_info"] = info
    row.__dict__.pop("_changed", None)
    _touch(info, row.sealed)


def _touch(info: dict[Any, Any], sealed: bytes) -> None:
    info.setdefault(TOUCHED, []).append(hashlib.sha256(sealed).digest())


def _table(row: Any) -> str:
    return str(row.__tablename__)


def _id(row: Any) -> Any:
    return row.id


@event.listens_for(Sealed, "init", propagate=True)
def _name_row(row: Any, _args: Any, values: dict[str, Any]) -> None:
    """A new row has its id from the start: the document is bound to it."""
    values.setdefault("id", new_id())


@event.listens_for(Sealed, "load", propagate=True)
def _remember_vault(row: Any, context: Any) -> None:
    row.__dict__["_info"] = context.session.info


@event.listens_for(Sealed, "refresh", propagate=True)
def _forget_document(row: Any, context: Any, names: Any) -> None:
    if not row.__dict__.get("_changed"):
        row.__dict__.pop("_document", None)
    if context is not None:  # none when a statement changed the row in passing
        row.__dict__["_info"] = context.session.info


@event.listens_for(Session, "before_flush")
def _seal_rows(session: Session, _context: Any, _instances: Any) -> None:
    for row in (*session.new, *session.dirty):
        if isinstance(row, Sealed) and (row in session.new or row.__dict__.get("_changed")):
            _seal(row, session.info)
