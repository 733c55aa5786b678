"""K7: a new root key while everybody reads: no read fails, whatever kills the rotator, and however often."""

import os
import signal
import threading
from typing import Any

import pytest
from sqlalchemy import update
from support.many_keys import Readers, add_keys, all_keys, start_rotator

from telepsych.core.errors import Conflict, Unavailable
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.crypto import data_keys, rotation
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.keystore import KeyEvent, KeyWrap, reading, writing
from telepsych.crypto.provider import KeyProvider
from telepsych.crypto.scopes import patient_scope
from telepsych.crypto.vault import Vault, open_vault

DEATHS = ("file:1", "wrap:1", "wrap:250", "commit:4", "wrap:990")
"""Before the new key is there, before the first wrap, within a batch, at a commit, near the end."""


def run_rotator(practice: Practice, die_at: str = "") -> int:
    with start_rotator(practice.settings, 100, die_at) as process:
        return process.wait()


def test_rotation_goes_on_after_every_kill_and_no_read_fails(practice: Practice) -> None:
    vault = practice.vault
    keys = add_keys(vault.keystore, vault.provider, 2_000)
    old = vault.provider.status()[0].id
    with Readers(practice.settings, keys).running() as readers:
        for death in DEATHS:
            assert run_rotator(practice, death) == -signal.SIGKILL
            readers.some_more()
        assert run_rotator(practice) == 0
        readers.some_more()
    assert readers.failures == []
    roots = vault.provider.status()
    assert [str(root.state) for root in roots] == ["primary", "decrypt-only"]
    assert rotation.wraps_by_root(vault.keystore) == {roots[0].id: 2_000}
    rotation.retire(vault.keystore, vault.provider, old)
    assert all_keys(vault.keystore, vault.provider) == keys


def test_two_rotators_at_once_share_the_work(practice: Practice) -> None:
    keystore = practice.vault.keystore
    keys = add_keys(keystore, practice.vault.provider, 300)
    start, done = threading.Barrier(2), []

    def rotate() -> None:
        mine = open_vault(practice.settings)
        start.wait()
        done.append(rotation.rotate(keystore, mine.provider, batch=20))

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(done) == 2
    rotation.rewrap(keystore, practice.vault.provider)
    assert set(rotation.wraps_by_root(keystore)) == {practice.vault.provider.status()[0].id}
    assert all_keys(keystore, practice.vault.provider) == keys


def test_a_damaged_wrap_stops_nobody_and_is_counted(practice: Practice) -> None:
    keystore, provider = practice.vault.keystore, practice.vault.provider
    keys = add_keys(keystore, provider, 20)
    broken = next(iter(keys))
    with writing(keystore) as session:
        session.execute(update(KeyWrap).where(KeyWrap.data_key_id == broken).values(wrapped=b"x" * 60))
    done = rotation.rotate(keystore, provider)
    assert (done.is_new, done.rewrapped, done.unopened) == (True, 19, 1)
    again = rotation.rotate(keystore, provider)
    assert (again.is_new, again.rewrapped, again.unopened) == (True, 19, 1)
    with pytest.raises(CannotOpen):
        data_keys.unwrapped(keystore, provider, broken)


def test_a_wrap_that_comes_in_late_keeps_its_root_key(practice: Practice) -> None:
    """A process that has not noticed yet wraps by the old key: retiring it is refused until that has moved too."""
    keystore, provider = practice.vault.keystore, practice.vault.provider
    old = provider.status()[0].id
    slow = Vault(provider, keystore)
    rotation.rotate(keystore, provider)
    add_keys(keystore, Slow(provider, old), 1)
    with pytest.raises(Conflict, match="1 data keys"):
        rotation.retire(keystore, provider, old)
    assert rotation.rotate(keystore, provider).rewrapped == 1
    rotation.retire(keystore, provider, old)
    assert slow.seal(patient_scope(new_id()), "fact", new_id(), 1, b"x")


def test_a_provider_that_fails_now_and_then_only_makes_it_slower(practice: Practice) -> None:
    """What was wrapped before the failure is kept: a batch larger than any run of good answers is done in the end."""
    keystore, provider = practice.vault.keystore, Flaky(practice.vault.provider, good=30)
    keys = add_keys(keystore, practice.vault.provider, 100)
    tries = 0
    for _ in range(20):
        tries += 1
        try:
            rotation.rotate(keystore, provider)  # type: ignore[arg-type]
        except Unavailable:
            continue
        break
    assert 3 < tries < 8
    assert set(rotation.wraps_by_root(keystore)) == {provider.status()[0].id}
    assert [str(root.state) for root in provider.status()] == ["primary", "decrypt-only"]
    assert all_keys(keystore, practice.vault.provider) == keys


class Flaky:
    """Wraps so many keys, then is away once, and so on."""

    def __init__(self, inner: KeyProvider, good: int) -> None:
        self._inner = inner
        self._good = self._left = good

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        if not self._left:
            self._left = self._good
            raise Unavailable
        self._left -= 1
        return self._inner.wrap(data_key, context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Slow:
    """Wraps by a key that is not the primary one any more."""

    def __init__(self, ring: object, root: str) -> None:
        self._ring = ring
        self._root = root

    def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        key = self._ring._held.wrapping[self._root]  # type: ignore[attr-defined]
        return self._root, nonce + AESGCM(key).encrypt(nonce, data_key, context)


def test_every_step_with_a_root_key_leaves_its_events(practice: Practice) -> None:
    keystore, provider = practice.vault.keystore, practice.vault.provider
    add_keys(keystore, provider, 1)
    old = provider.status()[0].id
    new = rotation.rotate(keystore, provider).primary
    rotation.retire(keystore, provider, old)
    rotation.reinstate(keystore, provider, old)
    with reading(keystore) as session:
        events = session.query(KeyEvent).order_by(KeyEvent.at, KeyEvent.id).all()
    told = [(event.act, event.outcome, event.root_id) for event in events]
    assert told == [
        ("root-add", "intended", None),
        ("root-add", "done", None),
        ("root-rewrap", "done", new),
        ("root-disabled", "intended", old),
        ("root-disabled", "done", old),
        ("root-decrypt-only", "intended", old),
        ("root-decrypt-only", "done", old),
    ]
