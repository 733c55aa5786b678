"""K8: rows are sealed anew under a new generation while people edit them: no edit is lost, everything still opens."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select
from support.cast import Cast, Client, Member
from support.postgres import wait_until

from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.cli import main
from telepsych.core.actor import command
from telepsych.core.columns import CLASS
from telepsych.core.database import Base
from telepsych.core.work import Practice
from telepsych.crypto import data_keys, envelope, reseal
from telepsych.crypto.keystore import DataKey, KeystoreBase, reading
from telepsych.crypto.scopes import patient_scope, practice_scope, user_scope
from telepsych.crypto.sealed import Sealed, registry
from telepsych.crypto.vault import LOOK_EVERY, Vault
from telepsych.patients.models import Patient
from telepsych.server import keys_commands, keys_report
from telepsych.server.keys_commands import rotate_data

STAY = {"audit_row.detail"}
"""Sealed outside of documents and never sealed anew: audit rows do not change."""


def edit(practice: Practice, person_id: UUID, name: str) -> None:
    with practice.begin(command("test"), public="test") as work:
        work.audited = True
        work.session.get_one(Person, person_id).name = name


def everything(practice: Practice) -> dict[tuple[str, Any], tuple[int, UUID, dict[str, Any]]]:
    """Every sealed row: its version, its key and what it says."""
    found = {}
    with practice.begin(command("test"), writes=False, public="test") as work:
        for model, fields in registry():
            for row in work.session.scalars(select(model)):
                if row.sealed:
                    said = {name: getattr(row, name) for name in fields}
                    place = (model.__name__, row.id)  # type: ignore[attr-defined]
                    found[place] = (row.row_version, envelope.key_id_of(row.sealed), said)
    return found


def generations(practice: Practice) -> dict[UUID, int]:
    with reading(practice.vault.keystore) as session:
        return {row.id: row.generation for row in session.scalars(select(DataKey))}


def test_everything_is_sealed_anew_and_says_what_it_said(
    practice: Practice, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    before = everything(practice)
    with practice.begin(command("test"), public="test") as work:
        audit.record(work, "test.done", "test:1", detail={"said": "before"})
    done = rotate_data(practice, batch=3)
    after = everything(practice)
    assert (done["resealed"], done["unopened"]) == (len(before), 0)
    assert {place: (row[0], row[2]) for place, row in after.items()} == {
        place: (row[0], row[2]) for place, row in before.items()
    }
    made = generations(practice)
    assert {made[row[1]] for row in before.values()} == {1}
    assert {made[row[1]] for row in after.values()} == {2}
    assert client_for(cast.patient).get("/").status_code in (200, 302, 303)
    with practice.begin(command("test"), writes=False, public="test") as work:
        row = work.session.scalars(select(AuditRow).where(AuditRow.action == "test.done")).one()
        assert audit.detail_of(practice.vault, row) == {"said": "before"}
        assert made[envelope.key_id_of(row.detail)] == 1, "audit rows stay as they were written"
        count = select(func.count()).select_from(AuditRow).where(AuditRow.action.like("keys.%"))
        assert work.session.scalar(count) >= 3


def test_only_the_holder_that_was_named_gets_a_new_key(practice: Practice, cast: Cast) -> None:
    one = cast.patient
    done = rotate_data(practice, "patient", one.record)
    assert done["made"] >= 1
    made = generations(practice)
    newest = {key: generation for key, generation in made.items() if generation == 2}
    with reading(practice.vault.keystore) as session:
        owners = set(session.scalars(select(DataKey.owner_id).where(DataKey.id.in_(newest))))
    assert owners == {one.record}
    with practice.begin(command("test"), writes=False, public="test") as work:
        rows = work.session.scalars(select(Patient)).all()
        assert {row.id for row in rows if envelope.key_id_of(row.sealed) in newest} == {one.record}


def test_an_edit_between_reading_and_writing_wins(
    practice: Practice, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, person_id = keys_commands._write, cast.clinician.person_id

    def late(other: Practice, page: reseal.Page) -> int:
        if page.model is Person and any(one.row_id == person_id for one in page.sealings):
            edit(other, person_id, "Dr. Sage Married")
        return write(other, page)

    monkeypatch.setattr(keys_commands, "_write", late)
    rotate_data(practice, "person")
    with practice.begin(command("test"), writes=False, public="test") as work:
        row = work.session.get_one(Person, person_id)
        assert row.name == "Dr. Sage Married"
        assert generations(practice)[envelope.key_id_of(row.sealed)] == 2


def test_no_edit_is_lost_while_generations_change(practice: Practice, cast: Cast) -> None:
    """Editors write as fast as they can while three generations come in, one after the other."""
    people = [cast.clinician.person_id, cast.staff.person_id, cast.manager.person_id]
    said, stop, failures = dict.fromkeys(people, 0), threading.Event(), []

    def go_on(person_id: UUID) -> None:
        while not stop.is_set():
            try:
                edit(practice, person_id, f"Name {said[person_id] + 1}")
            except Exception as problem:
                failures.append(repr(problem))
                return
            said[person_id] += 1

    threads = [threading.Thread(target=go_on, args=(person_id,)) for person_id in people]
    for each in threads:
        each.start()
    try:
        for generation in range(3):
            wait_until(lambda least=generation: bool(failures) or min(said.values()) > least)  # type: ignore[misc]
            rotate_data(practice, "person", batch=2)
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert failures == []
    rotate_data(practice, only_resume=True)
    made = generations(practice)
    with practice.begin(command("test"), writes=False, public="test") as work:
        for person_id in people:
            row = work.session.get_one(Person, person_id)
            assert row.name == f"Name {said[person_id]}"
            assert row.row_version == said[person_id] + 1
            assert made[envelope.key_id_of(row.sealed)] == 4


def test_a_rotation_that_was_stopped_goes_on_with_the_keys_it_has(
    practice: Practice, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    pages: list[reseal.Page] = []
    write = keys_commands._write

    def stop(other: Practice, page: reseal.Page) -> int:
        if len(pages) == 4:
            raise Stopped
        pages.append(page)
        return write(other, page)

    with monkeypatch.context() as broken:
        broken.setattr(keys_commands, "_write", stop)
        with pytest.raises(Stopped):
            rotate_data(practice, batch=2)
    waiting = keys_report.report(practice.vault)["pending"]["reseal"]
    assert waiting > 0
    assert "--resume" in keys_report.in_words(keys_report.report(practice.vault))
    done = rotate_data(practice)
    assert done["made"] == 0, "it goes on with the generation that was begun"
    assert max(generations(practice).values()) == 2
    assert keys_report.report(practice.vault)["pending"]["reseal"] == 0
    assert {generations(practice)[row[1]] for row in everything(practice).values()} == {2}


def test_a_row_that_does_not_open_stays_and_is_counted(practice: Practice, cast: Cast) -> None:
    person_id = cast.stranger.person_id
    with practice.records.execution_options(telepsych_writes=True).begin() as connection:
        kept = connection.execute(select(Person.sealed).where(Person.id == person_id)).scalar_one()
        broken = kept[:-1] + bytes((kept[-1] ^ 1,))
        connection.execute(Person.__table__.update().where(Person.id == person_id).values(sealed=broken))
    done = rotate_data(practice, "person")
    assert done["unopened"] == 1
    assert "do not open" in done["said"]


def test_new_writes_use_the_new_key_in_every_process_within_seconds(practice: Practice) -> None:
    at = [0.0]
    elsewhere = Vault(practice.vault.provider, practice.vault.keystore, lambda: at[0])
    scopes = [practice_scope(), user_scope(UUID(int=1)), patient_scope(UUID(int=2))]
    before = [elsewhere.current_key(scope) for scope in scopes]
    assert reseal.begin(practice.vault.keystore, practice.vault) == 3
    at[0] += LOOK_EVERY + 0.1
    after = [elsewhere.current_key(scope) for scope in scopes]
    assert not set(before) & set(after)
    assert [practice.vault.current_key(scope) for scope in scopes] == after
    assert reseal.begin(practice.vault.keystore, practice.vault) == 0, "none while one is waiting for its rows"


def test_what_was_destroyed_gets_no_new_key(practice: Practice) -> None:
    scope = patient_scope(UUID(int=2))
    practice.vault.current_key(scope)
    data_keys.destroy(practice.vault, scope)
    assert reseal.begin(practice.vault.keystore, practice.vault) == 0


def test_every_sealed_column_is_sealed_anew_or_said_to_stay() -> None:
    walked = {model.__tablename__ for model in reseal.tables()}  # type: ignore[attr-defined]
    fixed = {model.__tablename__ for model, _ in registry()} - walked  # type: ignore[attr-defined]
    assert all(name.startswith("audit") for name in fixed)
    other = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.info.get(CLASS) == "sealed" and not (column.name == "sealed" and table.name in walked | fixed)
    }
    assert other == STAY
    assert not any(issubclass(model.class_, Sealed) for model in KeystoreBase.registry.mappers)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--data-keys", "all", "--retire", "x"], "Choose one"),
        (["--owner", str(UUID(int=1))], "--owner goes with"),
        (["--retire", "0123456789abcdef"], "There is no root key"),
    ],
)
def test_the_command_line_says_what_does_not_go(
    words: list[str], answer: str, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEPSYCH_RECORDS_URL", practice.settings.records)
    monkeypatch.setenv("TELEPSYCH_KEYSTORE_URL", practice.settings.keystore)
    said = CliRunner().invoke(main, ["keys", "rotate", "--data", str(practice.settings.data), *words])
    assert said.exit_code != 0
    assert answer in said.output


def test_rotate_and_status_at_the_command_line(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEPSYCH_RECORDS_URL", practice.settings.records)
    monkeypatch.setenv("TELEPSYCH_KEYSTORE_URL", practice.settings.keystore)
    monkeypatch.setattr(keys_commands, "SETTLED", 0)
    old = practice.vault.provider.status()[0].id
    practice.vault.current_key(practice_scope())

    def run(*words: str) -> str:
        said = CliRunner().invoke(main, ["keys", *words, "--data", str(practice.settings.data)])
        assert said.exit_code == 0, said.output
        return said.output

    assert "1 data keys were wrapped" in run("rotate")
    assert "1 new data keys" in run("rotate", "--data-keys", "practice")
    assert f"{old} is disabled" in run("rotate", "--retire", old)
    assert f"{old} opens again" in run("rotate", "--reinstate", old)
    run("rotate", "--retire", old)
    declined = CliRunner().invoke(
        main, ["keys", "rotate", "--retire", old, "--data", str(practice.settings.data)], "n\n"
    )
    assert declined.exit_code == 1
    assert f"{old} is destroyed" in run("rotate", "--retire", old, "--yes")
    status = run("status")
    assert f"root key {old}: destroyed" in status
    assert "1 of generation 1, 1 of generation 2" in status
    prepared = run("rotate", "--prepare").split()[2]
    assert f"primary root key is {prepared}" in run("rotate", "--to", prepared)
