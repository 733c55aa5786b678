"""Sealed rows: what people say is in one ciphertext per row, and only its own row opens it."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Enum, inspect, select, text, update
from support.practice import load_models

from telepsych.accounts.models import Person, Team
from telepsych.core.actor import Compartment, command
from telepsych.core.columns import CLASS
from telepsych.core.database import Base
from telepsych.core.work import Practice, Work
from telepsych.crypto import envelope
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.scopes import patient_scope
from telepsych.crypto.sealed import registry


def begin(practice: Practice) -> object:
    return practice.begin(command("test"), public="test")


def add(work: Work, name: str) -> Person:
    work.audited = True
    return work.add(Person(created_at=work.now, name=name, email="juniper@example.org"))


def test_a_row_comes_back_as_it_was(practice: Practice) -> None:
    with begin(practice) as work:
        person = add(work, "Juniper Exámple")
    with begin(practice) as work:
        again = work.session.scalars(select(Person)).one()
    assert (again.id, again.name, again.title) == (person.id, "Juniper Exámple", "")
    with practice.records.connect() as connection:
        raw = connection.execute(text("select sealed from person")).scalar_one()
    assert b"Juniper" not in bytes(raw)


def test_the_version_moves_only_with_the_content(practice: Practice) -> None:
    with begin(practice) as work:
        person_id = add(work, "Juniper").id
    for change, version in (({"left_at": 5}, 1), ({"name": "Juniper"}, 1), ({"name": "June"}, 2)):
        with begin(practice) as work:
            work.audited = True
            person = work.session.get_one(Person, person_id)
            for field, value in change.items():
                setattr(person, field, value)
        with begin(practice) as work:
            person = work.session.get_one(Person, person_id)
            assert (person.row_version, person.name) == (version, "June" if version == 2 else "Juniper")


@pytest.mark.parametrize("column", ["row_version", "id", "sealed"])
def test_a_row_that_was_tampered_with_does_not_open(practice: Practice, column: str) -> None:
    with begin(practice) as work:
        one, other = add(work, "Juniper"), work.add(Person(created_at=0, name="Rowan"))
    value = {"row_version": 2, "id": practice.vault.mac("x", b"")[:16], "sealed": other.sealed}[column]
    with practice.records.execution_options(telepsych_writes=True).begin() as connection:
        if column == "id":
            connection.execute(text("delete from person where id = :id"), {"id": _stored(practice, other)})
            connection.execute(update(Person).where(Person.id == one.id).values(id=other.id))
        else:
            connection.execute(update(Person).where(Person.id == one.id).values(**{column: value}))
    with begin(practice) as work:
        row = work.session.get_one(Person, other.id if column == "id" else one.id)
        with pytest.raises(CannotOpen):
            _ = row.name


def _stored(practice: Practice, row: Person) -> object:
    return row.id.hex if practice.records.dialect.name == "sqlite" else row.id


def test_what_a_unit_touched_is_noted(practice: Practice) -> None:
    with begin(practice) as work:
        work.audited = True
        work.add(Team(name="Elm"))
        work.session.flush()
        assert len(work.session.info["touched"]) == 1
    with begin(practice) as work:
        row = work.session.scalars(select(Team)).one()
        assert work.session.info["touched"] == []
        assert row.name == "Elm"
        assert len(work.session.info["touched"]) == 1


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_a_ciphertext_opens_in_no_other_cell_of_any_table(practice: Practice) -> None:
    """K3, over all sealed tables: the same key for everything, so that the context alone tells cells apart."""
    load_models()
    key, key_id = bytes(range(32)), UUID(int=1)
    cells = [
        envelope.context_of(row.sealing_scope, key_id, row.__tablename__, row.id, version, row.sealing_extra())
        for model, _ in registry()
        for row in (specimen(model, 1), specimen(model, 2))
        for version in (1, 2)
    ]
    assert len(set(cells)) == len(cells) == 4 * len(list(registry()))
    sealed = [envelope.seal(key, key_id, cell, b"private") for cell in cells]
    for here, cell in enumerate(cells):
        assert [there for there, one in enumerate(sealed) if opens(key, cell, one)] == [here]


def opens(key: bytes, context: bytes, sealed: bytes) -> bool:
    try:
        envelope.open_sealed(key, context, sealed)
    except CannotOpen:
        return False
    return True


def specimen(model: Any, number: int) -> Any:
    """A row of a table whose clear columns all say the same as every other specimen's of this number."""
    row = model()
    for column in inspect(model).columns:
        if column.name not in ("sealed", "row_version"):
            setattr(row, column.name, clear_value(column, number))
    return row


def clear_value(column: Any, number: int) -> Any:
    if isinstance(column.type, Enum):
        return column.type.enum_class(column.type.enums[0])
    kind = column.type.python_type
    texts = {str: Compartment.GENERAL.value if column.name == "compartment" else "same", bytes: b"same"}
    return texts.get(kind) or (UUID(int=number) if kind is UUID else kind(number))


def test_every_flipped_bit_and_every_cut_is_one_error_through_the_vault(practice: Practice) -> None:
    """K4, with the data key looked up by the id that the envelope itself says."""
    vault, scope, row = practice.vault, patient_scope(UUID(int=7)), UUID(int=8)
    sealed = vault.seal(scope, "fact", row, 1, b"private")
    altered = (flipped(sealed, bit) for bit in range(len(sealed) * 8))
    for one in (*altered, *(sealed[:length] for length in range(len(sealed)))):
        with pytest.raises(CannotOpen) as caught:
            vault.open(scope, "fact", row, 1, one)
        assert str(caught.value) == str(CannotOpen())
        assert caught.value.__cause__ is None


def flipped(sealed: bytes, bit: int) -> bytes:
    return (int.from_bytes(sealed) ^ (1 << bit)).to_bytes(len(sealed))


def test_every_column_says_why_it_may_stay_in_clear() -> None:
    """K2: a column without a classification fails here."""
    load_models()
    for base in (Base, KeystoreBase):
        unclassified = [
            f"{table.name}.{column.name}"
            for table in base.metadata.sorted_tables
            for column in table.columns
            if not column.info.get(CLASS)
        ]
        assert unclassified == []


def test_every_sealed_row_says_whose_key_seals_it() -> None:
    load_models()
    for model, fields in registry():
        assert "sealing_scope" in vars(model), model
        assert fields, f"{model.__name__} seals nothing"
