"""One contract for every key provider, wherever its root keys live; then what each can fail by itself."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Engine
from support import key_services
from support.key_services import OTHER_TOKEN, PIN, REGION, SOFTHSM, TOKEN
from support.postgres import wait_until

from telepsych.core.clock import SystemClock
from telepsych.core.errors import Conflict, Misconfigured, Unavailable
from telepsych.core.settings import Settings
from telepsych.crypto import aws_kms, data_keys, hardware, keyring, rotation
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import KeyProvider, KeyState, derived
from telepsych.crypto.providers import provider_for
from telepsych.crypto.scopes import practice_scope, user_scope
from telepsych.crypto.vault import open_vault
from telepsych.server import doctor, key_service, keys_report
from telepsych.server.commands import prepare
from telepsych.server.findings import Installation

KEY, CONTEXT = bytes(range(32)), b"telepsych/data-key/one"
Open = Callable[[], KeyProvider]


def primary_of(provider: KeyProvider) -> str:
    first = provider.status()[0]
    assert first.state is KeyState.PRIMARY
    return first.id


def test_a_wrapped_key_opens_in_its_own_context_only(provider: KeyProvider) -> None:
    root, wrapped = provider.wrap(KEY, CONTEXT)
    assert provider.unwrap(root, wrapped, CONTEXT) == KEY
    assert KEY not in wrapped
    for other in (b"telepsych/data-key/two", b"", CONTEXT + b"\0"):
        with pytest.raises(CannotOpen):
            provider.unwrap(root, wrapped, other)


def test_an_altered_or_cut_wrap_does_not_open(provider: KeyProvider) -> None:
    root, wrapped = provider.wrap(KEY, CONTEXT)
    for at in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[at] ^= 1 << at % 8
        with pytest.raises(CannotOpen):
            provider.unwrap(root, bytes(altered), CONTEXT)
    for cut in (wrapped[:-1], wrapped[1:], wrapped[:8], wrapped + b"\0", b"\0"):
        with pytest.raises(CannotOpen):
            provider.unwrap(root, cut, CONTEXT)


def test_a_root_key_nobody_knows_opens_nothing(provider: KeyProvider) -> None:
    _, wrapped = provider.wrap(KEY, CONTEXT)
    with pytest.raises(CannotOpen):
        provider.unwrap("0" * 16, wrapped, CONTEXT)


def test_a_new_primary_key_wraps_and_the_old_one_opens(provider: KeyProvider) -> None:
    old, wrapped = provider.wrap(KEY, CONTEXT)
    new = provider.add_primary(old).id
    assert [(root.id, str(root.state)) for root in provider.status()] == [(new, "primary"), (old, "decrypt-only")]
    assert provider.unwrap(old, wrapped, CONTEXT) == KEY
    assert provider.wrap(KEY, CONTEXT)[0] == new
    assert provider.add_primary(old).id == new, "somebody who was slower brings in no other one"
    assert len(provider.status()) == 2


def test_a_running_process_takes_up_a_new_primary_key(provider: KeyProvider, open_provider: Open) -> None:
    old, _ = provider.wrap(KEY, CONTEXT)
    running = open_provider()
    assert running.wrap(KEY, CONTEXT)[0] == old
    new = provider.add_primary(old).id
    assert running.unwrap(*provider.wrap(KEY, CONTEXT), CONTEXT) == KEY
    wait_until(lambda: running.wrap(KEY, CONTEXT)[0] == new)


def test_states_go_their_way_and_no_other(provider: KeyProvider) -> None:
    old, wrapped = provider.wrap(KEY, CONTEXT)
    for state in (KeyState.DISABLED, KeyState.DESTROYED, KeyState.DECRYPT_ONLY):
        with pytest.raises(Conflict):
            provider.set_state(old, state)
    provider.add_primary(old)
    for state in (KeyState.DESTROYED, KeyState.PRIMARY):
        with pytest.raises(Conflict):
            provider.set_state(old, state)
    provider.set_state(old, KeyState.DISABLED)
    with pytest.raises(CannotOpen):
        provider.unwrap(old, wrapped, CONTEXT)
    provider.set_state(old, KeyState.DECRYPT_ONLY)
    assert provider.unwrap(old, wrapped, CONTEXT) == KEY
    provider.set_state(old, KeyState.DISABLED)
    provider.set_state(old, KeyState.DESTROYED)
    for state in (KeyState.DECRYPT_ONLY, KeyState.DISABLED):
        with pytest.raises(Conflict):
            provider.set_state(old, state)
    with pytest.raises(CannotOpen):
        provider.unwrap(old, wrapped, CONTEXT)
    assert provider.status()[-1].state is KeyState.DESTROYED


def test_of_many_who_bring_in_a_primary_key_at_once_one_does(provider: KeyProvider, open_provider: Open) -> None:
    old, _ = provider.wrap(KEY, CONTEXT)
    start, found = Barrier(3), []

    def bring() -> None:
        mine = open_provider()
        start.wait()
        found.append(mine.add_primary(old).id)

    threads = [Thread(target=bring) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 3
    assert set(found) == {primary_of(provider)}
    assert len(provider.status()) == 2


def test_a_forked_process_goes_on_by_itself(provider: KeyProvider) -> None:
    """As workers do whose parent has used the provider already; the parent is not disturbed."""
    root, wrapped = provider.wrap(KEY, CONTEXT)
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if provider.unwrap(root, wrapped, CONTEXT) == KEY and provider.wrap(KEY, CONTEXT) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert provider.unwrap(root, wrapped, CONTEXT) == KEY


def test_derived_secrets_outlive_root_keys(provider: KeyProvider, open_provider: Open, keystore: Engine) -> None:
    secret = provider.derivation
    assert len(secret) == 32
    assert derived(secret, "pepper") != derived(secret, "csrf")
    before = primary_of(provider)
    rotation.rotate(keystore, provider)
    assert rotation.retire(keystore, provider, before).state is KeyState.DISABLED
    assert open_provider().derivation == secret


def test_a_root_key_is_retired_step_by_step_and_never_while_it_is_needed(
    provider: KeyProvider, keystore: Engine
) -> None:
    keys = [data_keys.make(keystore, provider, user_scope(data_keys.new_id())) for _ in range(3)]
    before = [data_keys.unwrapped(keystore, provider, key) for key in keys]
    old = primary_of(provider)
    with pytest.raises(Conflict):
        rotation.retire(keystore, provider, old)
    provider.add_primary(old)
    with pytest.raises(Conflict, match="3 data keys"):
        rotation.retire(keystore, provider, old)
    done = rotation.rotate(keystore, provider)
    assert (done.is_new, done.rewrapped, done.unopened) == (False, 3, 0), "what was begun is finished first"
    for state in (KeyState.DISABLED, KeyState.DESTROYED):
        assert rotation.retire(keystore, provider, old).state is state
    assert [data_keys.unwrapped(keystore, provider, key) for key in keys] == before


def test_a_practice_starts_with_its_provider_and_is_examined(settings: Settings) -> None:
    prepare(settings)
    prepare(settings)
    vault = open_vault(settings)
    assert len(vault.derive("pepper")) == 32
    kept = vault.seal(practice_scope(), "fact", data_keys.new_id(), 1, b"private")
    assert b"private" not in kept
    report = keys_report.report(vault)
    assert (report["provider"], len(report["root_keys"])) == (settings.key_provider, 1)
    found = {line.name: line.state for line in doctor.examine(settings) if line.name in ("keys", "keyring")}
    assert found == {"keyring" if settings.key_provider == "keyring" else "keys": "ok"}


# What each can fail by itself


def test_a_keyring_that_is_away_for_a_moment_takes_nothing_away(tmp_path: Path) -> None:
    keyring.create(tmp_path / "keyring.json")
    ring = keyring.load(tmp_path / "keyring.json")
    root, wrapped = ring.wrap(KEY, CONTEXT)
    (tmp_path / "keyring.json").rename(tmp_path / "elsewhere")
    assert ring.unwrap(root, wrapped, CONTEXT) == KEY
    (tmp_path / "keyring.json").write_text("half a key")
    assert ring.unwrap(root, wrapped, CONTEXT) == KEY


def test_a_keyring_is_replaced_whole_and_stays_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    keyring.create(path)
    (tmp_path / "keyring.json.new").write_text("left over by somebody who was stopped")
    ring = keyring.load(path)
    ring.add_primary(ring.keys[0].id)
    assert path.stat().st_mode & 0o777 == 0o400
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keyring.json", "keyring.json.lock"]
    with pytest.raises(Conflict):
        ring.add_primary(ring.keys[0].id, "a key made elsewhere")


def test_a_prepared_key_opens_on_every_host_before_it_wraps_on_one(tmp_path: Path) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    keyring.create(here)
    one = keyring.load(here)
    new = one.prepare().id
    assert one.wrap(KEY, CONTEXT)[0] != new
    shutil.copy(here, there)
    other = keyring.load(there)
    assert one.add_primary(one.status()[0].id, new).id == new
    root, wrapped = one.wrap(KEY, CONTEXT)
    assert (root, other.unwrap(root, wrapped, CONTEXT)) == (new, KEY)
    assert one.unwrap(*other.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_kms_takes_over_a_key_made_elsewhere(kms: str, keystore: Engine, tmp_path: Path) -> None:
    where = {"kms_region": REGION, "kms_endpoint": kms}
    made = provider_for(Settings(data=tmp_path, key_provider="aws-kms", **where), keystore)
    elsewhere = made._connected().create_key(Description="made by hand")["KeyMetadata"]
    first = primary_of_first(made)
    assert made.add_primary(first, elsewhere["Arn"]).id == elsewhere["KeyId"]
    with pytest.raises(Conflict):
        made.add_primary(elsewhere["KeyId"], "alias/nobody-has-this")
    assert made.add_primary(elsewhere["KeyId"], elsewhere["Arn"]).id == elsewhere["KeyId"], "a repeat changes nothing"
    assert rotation.rotate(keystore, made, first).primary == first, "and back again"


def test_the_first_kms_key_may_be_given(kms: str, keystore: Engine, tmp_path: Path) -> None:
    given = {"kms_region": REGION, "kms_endpoint": kms}
    helper = provider_for(Settings(data=tmp_path, key_provider="aws-kms", **given), keystore)
    wanted = helper._connected().create_key(Description="made by hand")["KeyMetadata"]["KeyId"]
    provider = provider_for(Settings(data=tmp_path, key_provider="aws-kms", kms_key_id=wanted, **given), keystore)
    assert provider.wrap(KEY, CONTEXT)[0] == wanted


@pytest.mark.parametrize("is_same", [True, False])
def test_a_given_kms_key_is_never_thrown_away_by_whoever_comes_second(
    kms: str, keystore: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same: bool
) -> None:
    """Two processes start at once on an empty keystore: the slower one must not have the operator's key deleted."""
    given = {"kms_region": REGION, "kms_endpoint": kms}
    client = provider_for(Settings(data=tmp_path, key_provider="aws-kms", **given), keystore)._connected()
    wanted = [client.create_key(Description="made by hand")["KeyMetadata"]["KeyId"] for _ in range(2)]
    slower, faster = (
        provider_for(Settings(data=tmp_path, key_provider="aws-kms", kms_key_id=key, **given), keystore)
        for key in (wanted[0], wanted[0] if is_same else wanted[1])
    )
    bring = slower._bring

    def late(*how: Any, **named: Any) -> str:
        found = str(bring(*how, **named))
        faster.wrap(KEY, CONTEXT)
        return found

    monkeypatch.setattr(slower, "_bring", late)
    first = slower.add_primary("").id
    assert slower.wrap(KEY, CONTEXT)[0] == first == primary_of(faster)
    states = [client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in wanted]
    assert states == ["Enabled", "Enabled"]


def primary_of_first(provider: KeyProvider) -> str:
    provider.wrap(KEY, CONTEXT)
    return primary_of(provider)


def test_kms_that_cannot_be_reached_is_unavailable_and_comes_back(keystore: Engine, tmp_path: Path) -> None:
    with key_services.kms() as address:
        where = Settings(data=tmp_path, key_provider="aws-kms", kms_region=REGION, kms_endpoint=address)
        provider = provider_for(where, keystore)
        root, wrapped = provider.wrap(KEY, CONTEXT)
        assert provider.unwrap(root, wrapped, CONTEXT) == KEY
        assert len(provider.derivation) == 32
    (line,) = key_service.examine(
        Installation(where.model_copy(update={"keystore_url": url_of(keystore)}), SystemClock())
    )
    assert line.state == "fault"
    assert "cannot be reached" in line.what
    for act in (lambda: provider.unwrap(root, wrapped, CONTEXT), lambda: provider.wrap(KEY, CONTEXT)):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.__cause__ is None
        assert KEY.hex() not in repr(caught.value) + str(caught.value.__context__)


def url_of(keystore: Engine) -> str:
    return keystore.url.render_as_string(hide_password=False)


def test_a_token_that_is_away_or_a_wrong_pin_is_said_in_words(token: None, keystore: Engine, tmp_path: Path) -> None:
    there = {"pkcs11_module": SOFTHSM, "pkcs11_token": TOKEN, "pkcs11_pin": PIN}

    def provider(**other: str) -> KeyProvider:
        return provider_for(Settings(data=tmp_path, key_provider="pkcs11", **there | other), keystore)

    good = provider()
    root, wrapped = good.wrap(KEY, CONTEXT)
    with pytest.raises(Unavailable, match="NoSuchToken"):
        provider(pkcs11_token="another").unwrap(root, wrapped, CONTEXT)
    with pytest.raises(Misconfigured, match="pkcs11_pin") as caught:
        provider(pkcs11_token=OTHER_TOKEN, pkcs11_pin="314159").wrap(KEY, CONTEXT)
    assert "314159" not in str(caught.value)
    assert good.unwrap(root, wrapped, CONTEXT) == KEY


@pytest.mark.parametrize(
    ("module", "name", "setting", "words"),
    [(aws_kms, "boto3", "aws-kms", r"telepsych\[aws\]"), (hardware, "pkcs11", "pkcs11", r"telepsych\[pkcs11\]")],
)
def test_a_missing_extra_names_what_to_install(
    module: Any, name: str, setting: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, name, None)
    with pytest.raises(Misconfigured, match=words):
        provider_for(Settings(data=tmp_path, key_provider=setting), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key_provider": "aws-kms"}, "kms_region"),
        ({"key_provider": "pkcs11"}, "pkcs11_module"),
        ({"key_provider": "pkcs11", "pkcs11_module": SOFTHSM}, "pkcs11_token"),
    ],
)
def test_a_missing_setting_is_named(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=words):
        provider_for(Settings(data=tmp_path, **given), None)  # type: ignore[arg-type]


def test_no_error_path_of_a_provider_prints_a_secret(
    settings: Settings, provider: KeyProvider, keystore: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """K14: a data key, the PIN and the derivation secret stay out of representations, errors and logs."""
    caplog.set_level(logging.INFO)
    key_id = data_keys.make(keystore, provider, practice_scope())
    data_key = data_keys.unwrapped(keystore, provider, key_id)
    root, wrapped = provider.wrap(data_key, CONTEXT)
    shown = [repr(provider), str(provider), repr(settings), repr(provider.status())]
    for act in (
        lambda: provider.unwrap(root, wrapped, b"elsewhere"),
        lambda: provider.unwrap("0" * 16, wrapped, CONTEXT),
        lambda: provider.set_state(root, KeyState.DESTROYED),
        lambda: rotation.retire(keystore, provider, root),
    ):
        with pytest.raises((CannotOpen, Conflict)) as caught:
            act()
        error: BaseException | None = caught.value
        while error is not None:
            shown.append(repr(error))
            error = error.__cause__ or error.__context__
    everything = "".join(shown) + caplog.text
    for secret in (data_key, provider.derivation):
        assert not any(form in everything for form in (secret.hex(), repr(secret)[2:-1]))
    assert PIN not in everything
