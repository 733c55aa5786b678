"""`/healthz` and `/readyz`, the WSGI entry points, and the code that opens the demo."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from support.practice import build_practice

import wsgi
from telepsych import cli, migrations
from telepsych.app import create_app
from telepsych.core.clock import MINUTE, FrozenClock
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.server import beat, demo_folder
from telepsych.server.commands import prepare

NOW = 1_795_532_400_000_000
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Practice]:
    """A practice at its newest revision, whose worker has just been round."""
    sqlite = (f"sqlite:///{tmp_path / 'records.sqlite'}", f"sqlite:///{tmp_path / 'keystore.sqlite'}")
    addresses = sqlite if request.param == "sqlite" else (request.getfixturevalue("new_database")(),) * 2
    made = build_practice(tmp_path, *addresses, FrozenClock(NOW))
    migrations.upgrade(made.settings)
    beat.write(made.settings, beat.Beat(NOW, 1))
    yield made
    made.records.dispose()


@pytest.fixture
def stranger(running: Practice) -> FlaskClient:
    """Somebody who is not signed in."""
    return create_app(practice=running).test_client()


def test_alive_and_ready(stranger: FlaskClient) -> None:
    alive, ready = stranger.get("/healthz"), stranger.get("/readyz")
    assert (alive.status_code, alive.get_data(as_text=True)) == (200, "ok")
    assert (ready.status_code, ready.get_json()) == (200, {"ready": True})
    for answer in (alive, ready):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers


def test_not_ready_names_the_parts_and_nothing_else(running: Practice, stranger: FlaskClient) -> None:
    assert isinstance(running.clock, FrozenClock)
    running.clock.move(MINUTE + 1)
    chain = next(chain for chain in migrations.chains() if chain.name == "keystore")
    migrations.move(chain, chain.url(running.settings), "base")
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False, "faults": ["keystore", "worker"]})
    assert stranger.get("/healthz").status_code == 200


def test_health_is_asked_under_any_name(running: Practice, stranger: FlaskClient) -> None:
    """A proxy asks by address, not by the practice's own origin."""
    assert stranger.get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_databases_that_are_away_are_not_a_defect(tmp_path: Path, running: Practice) -> None:
    away = f"postgresql+psycopg://somebody:secret@/none?host={tmp_path}"
    practice = build_practice(tmp_path, away, away, FrozenClock(NOW))
    answer = create_app(practice=practice).test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["faults"]) == (503, ["keystore", "records"])


@pytest.mark.parametrize("name", ["app", "live"])
def test_a_wsgi_server_finds_each_app_and_it_answers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(Settings.load(tmp_path, {}))
    monkeypatch.setenv("TELEPSYCH_DATA", str(tmp_path))
    app = getattr(wsgi, name)
    try:
        assert isinstance(app, Flask)
        assert getattr(wsgi, name) is app
        assert app.test_client().get("/healthz").get_data(as_text=True) == "ok"
    finally:
        vars(wsgi).pop(name)
    assert not hasattr(wsgi, "application")


def test_the_code_of_a_secret() -> None:
    told = CliRunner().invoke(cli.main, ["code", SECRET])
    assert told.exit_code == 0
    assert pyotp.TOTP(SECRET).verify(told.output.strip(), valid_window=1)
    told = CliRunner().invoke(cli.main, ["code", "0181"])
    assert told.exit_code == 1
    assert "authenticator secret" in told.output


def test_the_demo_says_where_to_begin_and_how_to_get_a_code(tmp_path: Path) -> None:
    sign_ins = [
        {"role": "patient", "name": "P", "email": "p@example.org", "password": "one two"},
        {"role": "staff", "name": "S", "email": "s@example.org", "password": "three four", "totp_secret": SECRET},
    ]
    (tmp_path / "accounts.json").write_text(json.dumps(sign_ins), encoding="utf-8")
    said = demo_folder.sign_ins(Settings.load(tmp_path, {}), 8000)
    assert "http://127.0.0.1:8000/sign-in" in said
    assert f"telepsych code {SECRET}" in said
    for one in sign_ins:
        assert all(word in said for word in (one["role"], one["email"], one["password"]))
