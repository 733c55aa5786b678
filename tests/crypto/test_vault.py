"""The vault on real keystores: one key per scope, committed first, found again, and never printed."""

import logging
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from telepsych.core.actor import Compartment
from telepsych.core.errors import Misconfigured
from telepsych.core.work import Practice
from telepsych.crypto import keyring
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import DataKey, KeyWrap
from telepsych.crypto.scopes import patient_scope, practice_scope, user_scope
from telepsych.crypto.vault import open_vault


def test_each_scope_has_a_key_of_its_own(practice: Practice) -> None:
    vault, one, row = practice.vault, uuid4(), uuid4()
    scopes = [practice_scope(), user_scope(one), *(patient_scope(one, each) for each in Compartment)]
    sealed = [vault.seal(scope, "fact", row, 1, b"x") for scope in scopes]
    assert len({each[2:18] for each in sealed}) == len(scopes)
    for scope, each in zip(scopes, sealed, strict=True):
        assert vault.open(scope, "fact", row, 1, each) == b"x"
        for other in scopes:
            if other != scope:
                with pytest.raises(CannotOpen):
                    vault.open(other, "fact", row, 1, each)


def test_a_new_process_finds_the_same_keys(practice: Practice) -> None:
    scope, row = patient_scope(uuid4()), uuid4()
    sealed = practice.vault.seal(scope, "fact", row, 1, b"kept")
    again = open_vault(practice.settings)
    assert again.open(scope, "fact", row, 1, sealed) == b"kept"
    assert again.seal(scope, "fact", row, 1, b"kept")[2:18] == sealed[2:18]


def test_of_many_makers_of_one_key_one_wins(practice: Practice) -> None:
    scope, row, sealed = patient_scope(uuid4()), uuid4(), []
    start = threading.Barrier(6)

    def make() -> None:
        vault = open_vault(practice.settings)
        start.wait()
        sealed.append(vault.seal(scope, "fact", row, 1, b"x"))

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sealed) == 6
    assert len({each[2:18] for each in sealed}) == 1
    with Session(practice.vault.keystore) as session:
        assert session.scalar(select(func.count()).select_from(DataKey)) == 1


def test_a_key_may_have_several_wraps(practice: Practice) -> None:
    scope, row = patient_scope(uuid4()), uuid4()
    sealed = practice.vault.seal(scope, "fact", row, 1, b"x")
    with Session(practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        wrap = session.scalars(select(KeyWrap)).one()
        session.add(
            KeyWrap(
                data_key_id=wrap.data_key_id, recipient="recovery", recipient_id="r1", wrapped=b"other", created_at=1
            )
        )
        session.commit()
    practice.vault.flush()
    assert practice.vault.open(scope, "fact", row, 1, sealed) == b"x"


def test_without_its_wrap_a_key_is_gone(practice: Practice) -> None:
    scope, row = patient_scope(uuid4()), uuid4()
    sealed = practice.vault.seal(scope, "fact", row, 1, b"x")
    with Session(practice.vault.keystore.execution_options(telepsych_writes=True)) as session:
        session.delete(session.scalars(select(KeyWrap)).one())
        session.commit()
    practice.vault.flush()
    with pytest.raises(CannotOpen):
        practice.vault.open(scope, "fact", row, 1, sealed)


def test_addresses_are_found_however_they_are_spelled(practice: Practice) -> None:
    blind = practice.vault.blind
    assert blind("email", " Juniper@Example.ORG ") == blind("email", "juniper@example.org")
    assert blind("email", "juniper@example.org") != blind("phone", "juniper@example.org")
    assert len(blind("email", "x").value) == 16


def test_purposes_have_different_secrets(practice: Practice) -> None:
    labels = ("pepper", "csrf", "turn", "audit-hmac", "blind/email")
    assert len({practice.vault.derive(label) for label in labels}) == len(labels)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644])
def test_a_readable_keyring_is_refused(tmp_path: Path, mode: int) -> None:
    keyring.create(tmp_path / "keys" / "keyring.json")
    (tmp_path / "keys" / "keyring.json").chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 0400"):
        keyring.load(tmp_path / "keys" / "keyring.json")


def test_a_keyring_beside_what_it_protects_is_refused(tmp_path: Path) -> None:
    keyring.create(tmp_path / "records" / "keyring.json")
    with pytest.raises(Misconfigured, match="beside what it protects"):
        keyring.load(tmp_path / "records" / "keyring.json", [tmp_path / "records"])


def test_a_missing_keyring_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="telepsych init"):
        keyring.load(tmp_path / "keyring.json")


def test_a_keyring_is_never_overwritten(tmp_path: Path) -> None:
    keyring.create(tmp_path / "keyring.json")
    before = (tmp_path / "keyring.json").read_bytes()
    with pytest.raises(Misconfigured, match="not overwritten"):
        keyring.create(tmp_path / "keyring.json")
    assert (tmp_path / "keyring.json").read_bytes() == before


def test_secrets_are_never_printed(practice: Practice, caplog: pytest.LogCaptureFixture) -> None:
    """K14: neither repr nor an error nor a log line holds key material."""
    caplog.set_level(logging.DEBUG)
    text = practice.settings.keyring_file.read_text(encoding="utf-8")
    ring = keyring.load(practice.settings.keyring_file)
    secrets = [*ring._held.wrapping.values(), ring.derivation, practice.vault.derive("pepper")]
    shown = [repr(ring), repr(ring._held), str(ring), repr(practice.vault), repr(practice.settings), repr(practice)]
    broken = practice.settings.data / "broken.json"
    broken.write_text(text.replace('"version": 1', '"version": 9'), encoding="utf-8")
    broken.chmod(0o400)
    with pytest.raises(Misconfigured) as caught:
        keyring.load(broken)
    shown += [str(caught.value), repr(caught.value), caplog.text]
    for secret in secrets:
        assert not any(form in "".join(shown) for form in (secret.hex(), repr(secret)[2:-1]))
    for line in text.splitlines():
        if "material" in line or "derivation" in line:
            assert line.split('"')[3] not in "".join(shown)
