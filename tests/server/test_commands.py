"""The command line: what it lists, what it answers, and how it says no."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.support_server import telepsych
from telepsych import cli, migrations
from telepsych.core import content
from telepsych.core.errors import Misconfigured
from telepsych.core.settings import Settings
from telepsych.questionnaires.content import editions, instruments
from telepsych.server import content_check, demo_folder

PROMISED = {
    *("demo", "serve", "init", "db upgrade", "invite", "keys status", "doctor", "content check", "routes", "staff add"),
    *("triage evaluate", "questionnaires score", "appropriateness evaluate"),
}


def run(*words: str) -> tuple[int, str]:
    told = CliRunner().invoke(cli.main, words)
    return told.exit_code, told.output


def test_every_promised_command_is_there_and_explains_itself() -> None:
    assert set(cli._commands(cli.main, "")) >= PROMISED
    for words in PROMISED:
        code, said = run(*words.split(), "--help")
        assert code == 0, words
        assert said.splitlines()[2].strip(), words


def test_init_makes_a_practice_once(tmp_path: Path) -> None:
    data = str(tmp_path / "new")
    assert run("init", "--data", data)[0] == 0
    settings = Settings.load(Path(data), {})
    ring = settings.keyring_file
    assert stat.S_IMODE(ring.stat().st_mode) == 0o400
    assert stat.S_IMODE(Path(data).stat().st_mode) == 0o700
    assert migrations.is_current(settings)
    before = ring.read_bytes()
    assert run("init", "--data", data)[0] == 0
    assert ring.read_bytes() == before


def test_keys_status_shows_no_key(tmp_path: Path) -> None:
    run("init", "--data", str(tmp_path))
    code, said = run("keys", "status", "--json", "--data", str(tmp_path))
    assert code == 0, said
    (root,) = json.loads(said)["root_keys"]
    assert (root["state"], root["wraps"]) == ("primary", 0)
    ring = json.loads(Settings.load(tmp_path, {}).keyring_file.read_text(encoding="utf-8"))
    assert ring["derivation"] not in said
    assert ring["keys"][0]["material"] not in said
    assert "primary" in run("keys", "status", "--data", str(tmp_path))[1]


def test_db_status_and_upgrade(tmp_path: Path) -> None:
    at = json.loads(run("db", "status", "--json", "--data", str(tmp_path))[1])
    assert {name: place["at"] for name, place in at.items()} == {"keystore": None, "records": None}
    assert run("db", "upgrade", "--data", str(tmp_path))[0] == 0
    at = json.loads(run("db", "status", "--json", "--data", str(tmp_path))[1])
    assert all(place["at"] == place["newest"] for place in at.values())


def test_what_goes_wrong_is_said_in_one_sentence(tmp_path: Path) -> None:
    told = telepsych(tmp_path, "keys", "status")
    assert (told.returncode, told.stdout) == (1, "")
    assert "telepsych init" in told.stderr
    (tmp_path / "telepsych.toml").write_text("practise_name = 1\n", encoding="utf-8")
    told = telepsych(tmp_path, "doctor")
    assert told.returncode == 1
    assert "practise_name" in told.stderr
    assert "Traceback" not in told.stderr


def test_routes_names_every_door_and_its_policy() -> None:
    code, said = run("routes", "--json")
    assert code == 0
    found = json.loads(said)
    assert {"route", "command"} <= {door["kind"] for door in found}
    assert [door["name"] for door in found if door["policy"] in ("", "none")] == []
    assert {"GET /sign-in", "GET /api/live-ticket"} <= {door["name"] for door in found}
    assert "operator" in run("routes")[1]


# Content


@pytest.fixture
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the content, to break."""
    copy = tmp_path / "config"
    shutil.copytree(content.config_dir(), copy)
    for module in (content, content_check):
        monkeypatch.setattr(module, "config_dir", lambda: copy)
    for cached in (editions, instruments):
        cached.cache_clear()
    yield copy
    for cached in (editions, instruments):
        cached.cache_clear()


def test_the_content_shipped_is_whole() -> None:
    code, said = run("content", "check", "--json")
    assert (code, json.loads(said)["faults"]) == (0, [])
    assert json.loads(said)["files"] >= 30


def test_a_wrong_field_is_named_with_its_file(own_config: Path) -> None:
    place = own_config / "questionnaires" / "gad7.toml"
    place.write_text("moood = 1\n" + place.read_text(encoding="utf-8"), encoding="utf-8")
    code, said = run("content", "check")
    assert code == 1
    assert "config/questionnaires/gad7.toml: moood" in said


def test_a_wrong_worked_example_is_named(own_config: Path) -> None:
    place = own_config / "questionnaires" / "gad7.toml"
    whole = place.read_text(encoding="utf-8")
    broken = whole.replace("total = 0", "total = 20", 1)
    assert broken != whole
    place.write_text(broken, encoding="utf-8")
    (fault,) = content_check.check()[1]
    assert fault.startswith("config/questionnaires: gad7")
    assert "not 20" in fault


def test_a_file_that_nobody_reads_is_named(own_config: Path) -> None:
    (own_config / "horoscopes").mkdir()
    (own_config / "horoscopes" / "today.toml").write_text("id = 1\n", encoding="utf-8")
    assert content_check.check()[1] == ["config/horoscopes/today.toml: no room reads this file"]


# The demo's folder


def test_the_demo_never_takes_a_real_practice(tmp_path: Path) -> None:
    assert run("init", "--data", str(tmp_path))[0] == 0
    code, said = run("demo", "--data", str(tmp_path))
    assert code == 1
    assert "not the demo" in said


def test_half_a_demo_is_thrown_away(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})
    demo_folder.claim(settings)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "records.sqlite").write_bytes(b"half")
    demo_folder.claim(settings)
    assert not (tmp_path / "records").exists()
    (tmp_path / "accounts.json").write_text("[]", encoding="utf-8")
    demo_folder.claim(settings)
    assert demo_folder.is_seeded(settings)
    demo_folder.claim(settings, fresh=True)
    assert not demo_folder.is_seeded(settings)


def test_the_demo_stays_in_its_folder(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {"TELEPSYCH_RECORDS_URL": "postgresql+psycopg://somewhere/else"})
    with pytest.raises(Misconfigured, match="own folder"):
        demo_folder.claim(settings)
