"""What an operator types on the bad days: the keyring is lost; everything is lost."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from telepsych.cli import main, opened
from telepsych.core.settings import Settings
from telepsych.server import safeguards
from telepsych.server.backups import places


@dataclass
class Operator:
    """Types commands about a data folder."""

    data: Path
    volumes: Path

    def types(self, *words: str, fails: bool = False, typed: str = "") -> Result:
        to = {
            f"TELEPSYCH_BACKUP_{part.upper()}_TO": str(self.volumes / part)
            for part in ("records", "keystore", "keyring")
        }
        result = CliRunner().invoke(
            main, list(words), env=to | {"TELEPSYCH_DATA": str(self.data)}, input=typed, obj=opened
        )
        assert (result.exit_code != 0) == fails, result.output
        return result

    def asks(self, *words: str) -> Any:
        return json.loads(self.types(*words, "--json").stdout)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    made = Operator(tmp_path / "data", tmp_path / "volumes")
    made.types("init")
    made.types("staff", "add", "--name", "Sage Example", "--email", "sage@example.org", "--role", "manager")
    return made


def shares_of(operator: Operator) -> list[str]:
    found = operator.asks("keys", "recovery", "new")
    assert len(found["shares"]) == 3
    return list(found["shares"])


def test_the_recovery_key_is_printed_once(operator: Operator) -> None:
    assert "no recovery key" in operator.types("keys", "recovery", "status").output
    printed = operator.types("keys", "recovery", "new").output
    assert all(f"Share {number} of 3" in printed for number in (1, 2, 3))
    assert "already" in operator.types("keys", "recovery", "new", fails=True).output
    status = operator.asks("keys", "recovery", "status")
    assert (status["missing"], status["kept"] > 0) == (0, True)
    assert operator.asks("keys", "recovery", "new", "--replace")["recovery_key"] != status["name"]


def test_the_lost_keyring(operator: Operator) -> None:
    """The walk-through of docs/operations.md."""
    shares = shares_of(operator)
    ring = Settings.load(operator.data, {}).keyring_file
    ring.unlink()
    assert "keys recover" in operator.types("init", fails=True).output  # a new keyring would open nothing
    assert "There is no keyring" in operator.types("doctor", fails=True).output
    wrong = shares[0][:-1] + ("0" if shares[0][-1] != "0" else "1")
    told = operator.types("keys", "recover", fails=True, typed=f"{wrong}\n{shares[2]}\n")
    assert "Share 1: group 20 is mistyped" in told.output
    assert not ring.exists()
    told = operator.types("keys", "recover", typed=f"{shares[0].lower()}\n{shares[2]}\n")
    assert "data keys are wrapped with it" in told.output
    assert shares[0] not in told.output
    link = operator.types("staff", "add", "--email", "sage@example.org").output
    assert "#" in link  # the person is found by her address: look-ups work as before


def test_everything_is_lost(operator: Operator) -> None:
    """The walk-through of docs/operations.md."""
    shares = shares_of(operator)
    made = operator.asks("backup")
    assert len({Path(file).parent for file in made["files"].values()}) == 3
    assert [one["parts"] for one in operator.asks("backup", "list")] == [["records", "keystore", "keyring"]]
    assert operator.asks("backup", "verify") == {"backups": 1, "faults": []}
    given = [word for share in shares[:2] for word in ("--share", share)]
    assert operator.asks("restore", "--drill", *given)["opened"]["person"] == 1
    drilled = places.last_drill(Settings.load(operator.data, {}))
    assert drilled is not None
    assert drilled.passed
    assert "already" in operator.types("restore", *given, fails=True).output
    shutil.rmtree(operator.data)
    restored = operator.asks("restore", *given)
    assert (restored["rows"]["person"], restored["keyring"], restored["lost_keys"]) == (1, "restored", 0)
    operator.types("staff", "add", "--email", "sage@example.org")
    assert operator.asks("db", "status")["records"]["at"]


def test_an_altered_backup_is_named(operator: Operator) -> None:
    shares_of(operator)
    made = operator.asks("backup")
    file = Path(made["files"]["keystore"])
    file.write_bytes(file.read_bytes()[:-1])
    told = operator.types("backup", "verify", fails=True)
    assert file.name in told.output


def test_a_backup_needs_to_know_where_to(operator: Operator, tmp_path: Path) -> None:
    shares_of(operator)
    one = str(tmp_path / "one")
    same = ("--records-to", one, "--keystore-to", one, "--keyring-to", one)
    assert "one place" in operator.types("backup", *same, fails=True).output
    operator.types("backup", *same, "--together")


def test_doctor_speaks_of_every_safeguard(operator: Operator) -> None:
    told = operator.types("doctor", "--json", fails=True)  # no worker runs here
    names = {line["name"] for line in json.loads(told.stdout)["lines"]}
    assert {one.id.lower() for one in safeguards.safeguards()} <= names
