"""Sealed rows: what people say is in one ciphertext per row, and only its own row opens it."""

import pytest
from sqlalchemy import select, text, update
from support.practice import load_models

from telepsych.accounts.models import Person, Team
from telepsych.core.actor import command
from telepsych.core.columns import CLASS
from telepsych.core.database import Base
from telepsych.core.work import Practice, Work
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import KeystoreBase
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
