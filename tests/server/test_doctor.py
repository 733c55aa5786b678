"""`telepsych doctor` finds a healthy practice healthy, and names each thing that is wrong with one that is not."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from server.support_server import telepsych
from telepsych import migrations
from telepsych.core.clock import DAY, MINUTE, FrozenClock
from telepsych.core.columns import CLASS
from telepsych.core.settings import Settings
from telepsych.server import beat, doctor, safeguards
from telepsych.server.commands import prepare
from telepsych.server.doctor import Line
from telepsych.triage.content import crisis

NOW = 1_795_532_400_000_000
"""Tuesday, November 24, 2026."""
WELL = {"keyring", "keystore", "records", "sqlite", "columns", "worker", "crisis"}


def healthy(data: Path, **more: str) -> Settings:
    settings = Settings.load(data, {f"TELEPSYCH_{name.upper()}": value for name, value in more.items()})
    prepare(settings)
    beat.write(settings, beat.Beat(NOW, 1))
    return settings


def lines(settings: Settings, after: int = 0) -> dict[str, Line]:
    found = doctor.examine(settings, FrozenClock(NOW + after))
    assert all(line.what and (line.state == "ok" or (line.why and line.fix)) for line in found)
    of_the_law = {safeguard.id.lower() for safeguard in safeguards.safeguards()}  # see test_safeguards.py
    return {line.name: line for line in found if line.name not in of_the_law}


def faults(settings: Settings, after: int = 0) -> dict[str, Line]:
    return {name: line for name, line in lines(settings, after).items() if line.state == "fault"}


def test_a_healthy_practice_is_healthy(tmp_path: Path) -> None:
    found = lines(healthy(tmp_path))
    assert {name for name, line in found.items() if line.state == "ok"} == WELL
    assert {name for name, line in found.items() if line.state == "warn"} == {"turn", "mail"}


def test_a_healthy_practice_with_everything_set_is_healthy_on_postgresql(
    tmp_path: Path, new_database: Callable[..., str]
) -> None:
    address = new_database()
    settings = healthy(
        tmp_path, records_url=address, keystore_url=address, origin="https://visits.example.org",
        turn_urls="turn:turn.example.org:3478?transport=udp", turn_secret="shared",
    )  # fmt: skip
    found = lines(settings)
    assert {name for name, line in found.items() if line.state == "ok"} == (WELL - {"sqlite"}) | {"turn"}


def test_no_keyring(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    settings.keyring_file.unlink()
    (line,) = faults(settings).values()
    assert line.what.startswith("There is no keyring")
    assert "telepsych init" in line.fix


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644])
def test_a_readable_keyring(tmp_path: Path, mode: int) -> None:
    settings = healthy(tmp_path)
    settings.keyring_file.chmod(mode)
    (line,) = faults(settings).values()
    assert "can be read by others" in line.what
    assert "chmod 0400" in line.fix


@pytest.mark.parametrize("folder", ["records", "keystore"])
def test_a_keyring_beside_what_it_protects(tmp_path: Path, folder: str) -> None:
    settings = healthy(tmp_path)
    moved = tmp_path / folder / "keyring.json"
    settings.keyring_file.rename(moved)
    (line,) = faults(settings.model_copy(update={"keyring": moved})).values()
    assert "beside what it protects" in line.what
    assert line.fix


def test_an_unclassified_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = healthy(tmp_path)
    careless = MetaData()
    Table("note", careless, Column("id", Integer, info={CLASS: "id"}), Column("mood", Integer))
    assert doctor.unclassified(careless) == ["note.mood"]
    monkeypatch.setattr(doctor, "unclassified", lambda _: ["note.mood"])
    (line,) = faults(settings).values()
    assert line.what == "The column note.mood is not classified."


def test_every_column_of_ours_is_classified() -> None:
    assert [name for chain in migrations.chains() for name in doctor.unclassified(chain.metadata)] == []


def test_a_worker_that_never_ran_is_stale_or_fails(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    (line,) = faults(settings, after=MINUTE + 1).values()
    assert line.what == "The worker was last heard of 60 seconds ago."
    beat.write(settings, beat.Beat(NOW, 1, ("notifications.deliver",)))
    assert "notifications.deliver" in faults(settings)["worker"].what
    beat.file_of(settings).unlink()
    assert faults(settings)["worker"].what == "The worker has never run here."


def test_an_affected_sqlite_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = healthy(tmp_path)
    monkeypatch.setattr(doctor, "sqlite_version", lambda: (3, 40, 1))
    (line,) = faults(settings).values()
    assert line.what.startswith("SQLite 3.40.1")
    assert "pysqlite3" in line.fix


@pytest.mark.parametrize("name", ["records", "keystore"])
def test_an_unreachable_database(tmp_path: Path, name: str) -> None:
    settings = healthy(tmp_path)
    away = f"postgresql+psycopg://somebody:secret@/none?host={tmp_path}"
    (line,) = faults(settings.model_copy(update={f"{name}_url": away})).values()
    assert (line.name, "cannot be reached" in line.what) == (name, True)
    assert "secret" not in line.what


def test_looking_makes_nothing(tmp_path: Path) -> None:
    found = faults(Settings.load(tmp_path, {}))
    assert set(found) == {"keyring", "records", "keystore", "worker"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chain", migrations.chains(), ids=lambda one: one.name)
def test_databases_behind_the_program(tmp_path: Path, chain: migrations.Chain) -> None:
    settings = healthy(tmp_path)
    migrations.move(chain, chain.url(settings), "base")
    (line,) = faults(settings).values()
    assert line.name == chain.name
    assert "telepsych db upgrade" in line.fix


@pytest.mark.parametrize(
    ("origin", "state"),
    [
        ("", "warn"),
        ("http://127.0.0.1:8000", "warn"),
        ("http://localhost:8000", "warn"),
        ("http://[::1]:8000", "warn"),
        ("https://visits.example.org", "fault"),
        ("https://192.0.2.7", "fault"),
    ],
)
def test_a_missing_relay(tmp_path: Path, origin: str, state: str) -> None:
    assert lines(healthy(tmp_path, origin=origin))["turn"].state == state


def test_a_relay_without_its_secret(tmp_path: Path) -> None:
    assert "turn_secret" in lines(healthy(tmp_path, turn_urls="turn:turn.example.org:3478"))["turn"].what


def test_crisis_numbers_that_nobody_checked_again(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    due = crisis().review_again_by
    assert due is not None
    late = (due - date(2026, 11, 24)).days + 1
    beat.write(settings, beat.Beat(NOW + late * DAY, 1))
    assert set(faults(settings, after=(late - 1) * DAY)) == set()
    assert set(faults(settings, after=late * DAY)) == {"crisis"}


def test_the_command_says_what_why_and_how(tmp_path: Path) -> None:
    told = telepsych(tmp_path, "doctor")
    assert told.returncode == 1
    assert "FAULT There is no keyring" in told.stdout
    assert "why:" in told.stdout
    assert "fix:" in told.stdout
    answer = json.loads(telepsych(tmp_path, "doctor", "--json").stdout)
    assert answer["ok"] is False
    assert {"name", "state", "what", "why", "fix"} == set(answer["lines"][0])
